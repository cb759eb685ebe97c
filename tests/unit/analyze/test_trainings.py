"""Full trainings: in turns, journaled, resumed; their tables and charts."""

import dataclasses

import pytest
from fakes import QUIET, FakeLauncher, runner_of
from samples import dataframe, drawn, text_table

from harness.analyze.analysis import Analysis
from harness.analyze.training import groups, hardest
from harness.records import Case, Failure, Recipe, Training
from harness.report import files
from harness.tables import drawing, text

BASELINE = Case("baseline", "mnist", 256, threads=2)
IMPROVED = Case("improved", "mnist", 1024, threads=2)


def recipes(seed=0, epochs=(3, 2), device="cpu"):
    one, other = (
        dataclasses.replace(case, seed=seed, device=device) for case in (BASELINE, IMPROVED)
    )
    return [Recipe(one, epochs[0], one), Recipe(other, epochs[1], one)]


def launcher(wrong=None):
    made = FakeLauncher(lambda case: 1e-3 if case.variant == "baseline" else 5e-4)
    if wrong:
        made.wrong = wrong
    return made


def trained(folder, seeds=(0, 1, 2), target=0.985, wrong=None, epochs=(3, 2)):
    runner = runner_of(folder, launcher(wrong), target=target)
    for seed in seeds:
        runner.train(recipes(seed, epochs))
    return runner.save()


def with_epochs(run, change):
    """The run as if its epochs had been otherwise."""
    trainings = tuple(
        dataclasses.replace(t, epochs=tuple(change(epoch) for epoch in t.epochs))
        for t in run.trainings
    )
    return dataclasses.replace(run, trainings=trainings)


def test_workers_take_turns_epoch_by_epoch(tmp_path):
    """Until the shorter recipe has ended."""
    workers = launcher()
    ends = runner_of(tmp_path, workers).train(recipes())
    assert workers.turns == [
        ("baseline", 1), ("improved", 1), ("baseline", 2), ("improved", 2), ("baseline", 3),
    ]  # fmt: skip
    assert workers.running == 0
    assert [len(end.epochs) for end in ends] == [3, 2]
    assert all(end.interleaved for end in ends)


def test_a_machine_that_sleeps_through_an_epoch_is_told(tmp_path):
    """Of whoever trained then: the second turn is the improved model's first epoch."""
    moments = [QUIET] * 3 + [dataclasses.replace(QUIET, slept_seconds=90.0)] * 7
    runner = runner_of(tmp_path, launcher(), read_host_state=iter(moments).__next__)
    runner.train(recipes())
    (told,) = groups.caution_lines(Analysis(runner.save()))
    assert told.startswith("Caution: the machine was suspended meanwhile (1 min 30 s)")
    assert told.endswith("[improved 1024]")


def test_on_a_gpu_one_ends_before_the_other_begins(tmp_path):
    """Two processes on one GPU disturb each other."""
    workers = launcher()
    ends = runner_of(tmp_path, workers).train(recipes(device="gpu"))
    assert [name for name, _ in workers.turns] == ["baseline"] * 3 + ["improved"] * 2
    assert workers.most_running == 1
    assert not any(end.interleaved for end in ends)


def test_a_training_that_fails_leaves_the_others_alone(tmp_path):
    """It is a failure of the run, and tried again when the run is resumed."""
    workers = launcher()
    workers.failures = {IMPROVED.id: ("oom", "memory ran out", "")}
    first = runner_of(tmp_path, workers)
    ends = first.train(recipes())
    first.close()
    assert [type(end) for end in ends] == [Training, Failure]
    second = runner_of(tmp_path, launcher())
    run = second.save()
    second.close()
    assert [t.recipe.case.variant for t in run.trainings] == ["baseline"]
    again = launcher()
    runner_of(tmp_path, again).train(recipes())
    assert again.turns == [("improved", 1), ("improved", 2)]


def test_an_interrupted_training_begins_again_and_a_finished_one_does_not(tmp_path):
    """What has ended is kept."""
    workers = launcher()
    workers.interrupt_at_epoch = 5
    with pytest.raises(KeyboardInterrupt):
        runner_of(tmp_path, workers).train(recipes())
    assert workers.running == 0
    again = launcher()
    ends = runner_of(tmp_path, again).train(recipes())
    assert again.turns == [("baseline", 1), ("baseline", 2), ("baseline", 3)]
    assert [len(end.epochs) for end in ends] == [3, 2]
    assert [end.interleaved for end in ends] == [False, True], "the other one trained before"


def test_no_more_than_six_workers_live_at_once(tmp_path):
    """A small machine has no memory for more."""
    workers = launcher()
    many = [
        Recipe(dataclasses.replace(BASELINE, batch_size=size), 2, BASELINE) for size in range(1, 9)
    ]
    ends = runner_of(tmp_path, workers).train(many)
    assert len(ends) == 8
    assert workers.most_running == 6
    assert not any(end.interleaved for end in ends)


def test_trainings_of_other_lengths_stand_apart(tmp_path):
    """Two epochs are not fifteen, whatever the run was resumed with."""
    runner = runner_of(tmp_path, launcher(), target=0.985)
    runner.train(recipes(0, (2, 2)))
    runner.train(recipes(0, (15, 10)))
    frame = dataframe(runner.save(), "convergence")
    assert sorted(set(frame["epochs"])) == [2, 10, 15]
    assert set(frame["seeds"]) == {1}
    assert len(frame) == 2 + 2 + 15 + 10


def test_epochs_are_rows_with_means_over_seeds(tmp_path):
    """The reference first; published figures beside epochs 4, 5 and the last."""
    frame = dataframe(trained(tmp_path, epochs=(15, 10)), "convergence")
    assert list(frame["variant"]) == ["baseline"] * 15 + ["improved"] * 10
    last = frame.iloc[14]
    assert last["elapsed_s"] == pytest.approx(15 * 60)
    assert last["val_accuracy"] == pytest.approx(1 - 0.03 / 15)
    assert last["published_val_accuracy"] == 0.9915
    known = frame[frame["published_val_accuracy"].notna()]
    assert list(known["epoch"]) == [4, 5, 15, 4, 5, 10]
    assert frame["val_accuracy_low"].notna().all()


def test_one_seed_has_no_interval(tmp_path):
    """As everywhere."""
    frame = dataframe(trained(tmp_path, seeds=[0]), "convergence")
    assert frame["val_accuracy_low"].isna().all()


def test_the_difference_of_accuracies_is_of_the_same_samples(tmp_path):
    """The improved variant gets ten samples wrong that the baseline gets right."""
    wrong = lambda case: range(100 if case.variant == "baseline" else 110)  # noqa: E731
    run = trained(tmp_path, wrong=wrong, epochs=(15, 10))
    (row,) = dataframe(run, "accuracy").to_dict("records")
    assert row["variant"] == "improved"
    assert row["accuracy"] == pytest.approx(0.989)
    assert row["difference"] == pytest.approx(-0.001)
    assert (row["only_case_right"], row["only_reference_right"]) == (0, 10)
    assert row["published"] == pytest.approx(0.9896 - 0.9915)
    shorter = trained(tmp_path / "shorter", wrong=wrong, epochs=(3, 2))
    assert dataframe(shorter, "accuracy")["published"].isna().all(), "it is not what was published"


def test_on_a_gpu_not_all_of_it_was_published(tmp_path):
    """The improved model's accuracy on the test set was, the baseline's was not."""
    runner = runner_of(tmp_path, launcher(), target=0.985)
    runner.train(recipes(device="gpu", epochs=(15, 10)))
    run = runner.save()
    (row,) = dataframe(run, "accuracy").to_dict("records")
    assert row["published"] is None
    known = dataframe(run, "convergence")["published_val_accuracy"].dropna()
    assert list(known) == [0.9891]


def test_effective_speedup_is_in_time_to_the_same_accuracy(tmp_path):
    """Both reach 0.985 at the end of their second epoch; an improved one takes half as long."""
    (row,) = dataframe(trained(tmp_path), "effective_speedup").to_dict("records")
    assert row["epochs_to_target"] == 2
    assert row["speedup"] == pytest.approx(2.0)
    assert row["epoch_speedup"] == pytest.approx(2.0)
    assert row["verdict"] == "faster"


def test_between_the_ends_of_two_epochs_accuracy_is_taken_as_linear(tmp_path):
    """0.97 after one epoch, 0.985 after two: 0.9775 after one and a half."""
    (row,) = dataframe(trained(tmp_path, target=0.9775), "effective_speedup").to_dict("records")
    assert row["epochs_to_target"] == pytest.approx(1.5)
    assert row["target_s"] == pytest.approx(1.5 * 30)
    assert row["reference_target_s"] == pytest.approx(1.5 * 60)


def test_a_target_of_the_first_epoch_takes_all_of_it(tmp_path):
    """What it was before is not known."""
    (row,) = dataframe(trained(tmp_path, target=0.5), "effective_speedup").to_dict("records")
    assert row["epochs_to_target"] == 1


def test_a_target_that_was_not_reached_is_missing_with_its_reason(tmp_path):
    """And the speedup of an epoch stays."""
    run = trained(tmp_path, target=0.99)
    (row,) = dataframe(run, "effective_speedup").to_dict("records")
    assert row["reason"] == "0.99 not reached by improved in 3 of 3 seeds"
    assert row["epoch_speedup"] == pytest.approx(2.0)
    files.write(run, tmp_path)


def test_what_every_training_gets_wrong_is_counted_and_drawn(tmp_path):
    """Those with the greatest confidence first; from the run alone."""
    wrong = lambda case: [7, 8] if case.variant == "baseline" else [8, 9]  # noqa: E731
    run = trained(tmp_path, wrong=wrong)
    found = hardest.ceiling(Analysis(run), 2)
    assert (found.wrong_always, found.wrong_ever, found.trainings) == (1, 3, 6)
    assert found.hardest[0].sample == 8
    assert found.hardest[0].image.tolist() == [[0, 255], [128, 7]]
    paths = files.write(run, tmp_path).paths
    assert {"hardest_digits.png", "convergence.png", "accuracy.png", "effective_speedup.png"} <= {
        path.name for path in paths
    }


def test_samples_that_are_no_images_have_no_picture(tmp_path):
    """And the rest of the report is there."""
    run = trained(tmp_path)
    flat = tuple(dataclasses.replace(t, image_shape=None) for t in run.trainings)
    assert hardest.ceiling(Analysis(dataclasses.replace(run, trainings=flat)), 2) is None


def test_a_model_that_is_no_classifier_says_so(tmp_path):
    """In the place of its difference."""
    run = trained(tmp_path)
    blank = tuple(dataclasses.replace(t, mistakes=None) for t in run.trainings)
    run = dataclasses.replace(run, trainings=blank)
    (row,) = dataframe(run, "accuracy").to_dict("records")
    assert "no classes to compare" in row["reason"]
    files.write(run, tmp_path)


def test_the_test_images_of_digits_are_not_independent(tmp_path):
    """So that their difference has no interval and no verdict."""
    run = trained(tmp_path)
    turned = tuple(_on_digits(training) for training in run.trainings)
    run = dataclasses.replace(run, trainings=turned)
    (row,) = dataframe(run, "accuracy").to_dict("records")
    assert row["difference"] == 0
    assert "shifts of 360 originals" in row["reason"]
    assert not isinstance(row["verdict"], str)
    files.write(run, tmp_path)


def _on_digits(training):
    recipe = training.recipe
    case, reference = (
        dataclasses.replace(one, dataset="digits") for one in (recipe.case, recipe.reference)
    )
    return dataclasses.replace(
        training, recipe=dataclasses.replace(recipe, case=case, reference=reference)
    )


def test_a_model_without_the_metric_says_so(tmp_path):
    """In place of 'not reached'."""
    run = trained(tmp_path)
    run = with_epochs(run, lambda epoch: dataclasses.replace(epoch, val_accuracy=None))
    (row,) = dataframe(run, "effective_speedup").to_dict("records")
    assert 'no metric "accuracy"' in row["reason"]
    files.write(run, tmp_path)


def test_an_epoch_that_took_far_longer_is_named(tmp_path):
    """And moves neither the seconds, which are medians, nor the speedup of an epoch."""
    run = trained(tmp_path, epochs=(5, 5))
    odd_one = run.trainings[0].epochs[2]
    slow = with_epochs(
        run,
        lambda epoch: (
            dataclasses.replace(epoch, seconds=7 * epoch.seconds) if epoch.epoch == 3 else epoch
        ),
    )
    assert "an epoch of seed 0 took 7 min 00 s, the median 1 min 00 s" in next(
        groups.caution_lines(Analysis(slow))
    )
    one = with_epochs(
        run,
        lambda epoch: (
            dataclasses.replace(epoch, seconds=7 * epoch.seconds) if epoch is odd_one else epoch
        ),
    )
    assert dataframe(one, "convergence")["elapsed_s"].max() == pytest.approx(5 * 60)
    assert list(groups.caution_lines(Analysis(run))) == []


def test_what_else_kept_the_cpus_busy_is_named(tmp_path):
    """Steal counts by the CPU: these cases have two."""
    run = trained(tmp_path)
    quiet = with_epochs(run, lambda epoch: dataclasses.replace(epoch, steal_seconds=1.0))
    assert list(groups.caution_lines(Analysis(quiet))) == []
    busy = with_epochs(
        run,
        lambda epoch: dataclasses.replace(epoch, steal_seconds=6.0, other_cpu_seconds=12.2),
    )
    found = list(groups.caution_lines(Analysis(busy)))
    assert any("hypervisor gave CPU time to others (5 %)" in line for line in found)
    assert any("kept CPUs busy meanwhile (0.20 CPUs)" in line for line in found)
    assert all("[baseline 256]" in line or "[improved 1024]" in line for line in found)


def test_a_quota_that_stopped_a_training_is_named(tmp_path):
    """As it is of rounds."""
    run = trained(tmp_path)
    stopped = with_epochs(run, lambda epoch: dataclasses.replace(epoch, throttled_seconds=0.5))
    found = [line for line in groups.caution_lines(Analysis(stopped)) if "quota" in line]
    assert found
    assert all("the cgroup's CPU quota stopped the training (" in line for line in found)


def test_losses_that_have_no_logarithm_are_drawn(tmp_path):
    """Cosine similarity is negative."""
    run = trained(tmp_path)
    odd = with_epochs(run, lambda epoch: dataclasses.replace(epoch, val_loss=-epoch.val_loss))
    paths = files.write(odd, tmp_path).paths
    assert "convergence.png" in {path.name for path in paths}


def test_the_table_shows_chosen_epochs_and_the_file_all(tmp_path):
    """First, last, and those with published figures."""
    run = trained(tmp_path, epochs=(15, 10))
    frame = dataframe(run, "convergence")
    built = text_table(run, "convergence")
    column = built.columns.index("epoch")
    assert [row[column] for row in built.rows] == ["1", "4", "5", "15", "1", "4", "5", "10"]
    assert len(frame) == 25


def test_a_run_of_trainings_alone_has_a_caption(tmp_path):
    """Dataset, machine, seeds."""
    assert "mnist on Fake CPU" in text.caption(trained(tmp_path))
    assert "trained in full with 3 seeds" in text.caption(trained(tmp_path))


def test_the_chart_says_when_the_target_is_reached(tmp_path):
    """Both reach it after two epochs, the improved one in half the time."""
    run = trained(tmp_path)
    title = drawing.title(drawn(run, "convergence"))
    assert title == "Test accuracy 0.985 is reached after 2.0 epochs, in 60 to 120 s"
    missed = trained(tmp_path / "missed", target=0.99)
    title = drawing.title(drawn(missed, "convergence"))
    assert title == "Test accuracy 0.99 is reached by 1 of 2 after 3.0 epochs, in 180 s"


def test_figures_for_the_chart_alone_are_not_in_the_file(tmp_path):
    """Its columns are public."""
    frame = dataframe(trained(tmp_path), "convergence")
    assert list(frame.columns)[-2:] == ["published_val_accuracy", "cautions"]


def test_the_charts_of_accuracy_say_what_is_shown(tmp_path):
    """With a verdict, and without."""
    wrong = lambda case: range(100 if case.variant == "baseline" else 300)  # noqa: E731
    run = trained(tmp_path, wrong=wrong)
    assert (
        drawing.title(drawn(run, "accuracy"))
        == "improved at batch 1024 is 2.00 points less accurate than baseline at batch 256"
    )
    assert (
        drawing.title(drawn(run, "effective_speedup"))
        == "improved 1024 reaches test accuracy 0.985 sooner than baseline 256: 2.00× as fast"
    )
    equal = trained(tmp_path / "equal")
    title = drawing.title(drawn(equal, "accuracy"))
    assert title == "Equally accurate within 0.1 points"
