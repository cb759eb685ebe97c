"""Advice: the knee by its interval, refusals with their reason, plans, the command."""

import dataclasses
import json
import math

import pytest
from fakes import (
    MACHINE,
    FakeGpu,
    FakeLauncher,
    busy_gpu,
    gpu_usage,
    runner_of,
    with_gpu_usage,
)
from samples import dataframe, without_fits

from harness.analyze.advice import advise as advice
from harness.analyze.advice import cost
from harness.analyze.advice.knee import Ratios, knee
from harness.analyze.analysis import Analysis
from harness.analyze.moderation import Speedups
from harness.commands.parser import main
from harness.errors import BadCase, BadRun, UnknownName
from harness.records import Case, Recipe
from harness.report import advice as words
from harness.report.advice import plan_table

MIB = 2**20
SIZES = (256, 1024, 4096)
REMARK = "Note: a larger batch may need more epochs to the same accuracy"


def case(batch_size=256, **more):
    return Case("baseline", "mnist", batch_size, **more)


def seconds(speeds):
    """Sample times of batch sizes that are so much faster than 1 ms."""
    return lambda a_case: 1e-3 / speeds.get(a_case.batch_size, 1.0)


def measured(folder, speeds, failures=None, sizes=SIZES, **changes):
    runner = runner_of(folder, FakeLauncher(seconds(speeds), failures), **changes)
    for size in sizes:
        runner.measure(case(size), case())
    return runner.save()


def with_noise(run, spread):
    """The run as if its blocks differed by so much, with one worker of the reference."""

    def noisy(a_round):
        away = (a_round.block - 1) * spread * (1 if a_round.role == "case" else 0)
        return dataclasses.replace(a_round, seconds=a_round.seconds * math.exp(away))

    outcomes = [
        dataclasses.replace(
            m,
            rounds=tuple(noisy(r) for r in m.rounds if r.role != "second"),
            starts=tuple(s for s in m.starts if s.role != "second"),
        )
        for m in run.outcomes
    ]
    return dataclasses.replace(run, outcomes=tuple(outcomes))


def with_peaks(run, peaks):
    """The run as if training took so many MiB, by batch size, of which 100 are the import's."""

    def of(m):
        sizes = {
            "case": m.case.batch_size,
            "reference": m.reference.batch_size,
            "second": m.reference.batch_size,
        }
        return tuple(
            dataclasses.replace(s, peak_rss_bytes=peaks[sizes[s.role]] * MIB) for s in m.starts
        )

    outcomes = [dataclasses.replace(m, starts=of(m)) for m in run.outcomes]
    return dataclasses.replace(run, outcomes=tuple(outcomes))


def choice(run, axis="batch_size"):
    (found,) = advice.advise(Analysis(run))
    return next(c for c in found.choices if c.axis == axis)


def test_the_smallest_size_within_5_percent_of_the_best_is_recommended(tmp_path):
    """1024 has 97 % of the throughput of 4096, and 256 has 64 %."""
    run = with_peaks(measured(tmp_path, {1024: 1.5, 4096: 1.55}), {256: 200, 1024: 400, 4096: 1100})
    found = choice(run)
    assert (found.value, found.best) == (1024, 4096)
    assert found.throughput.value == pytest.approx(1.5 / 1.55)
    assert found.memory_share == pytest.approx(300 / 1000), "beyond the import's 100 MiB"
    (text, remark) = words.lines(Analysis(run))
    assert text == (
        "Recommendation for baseline: batch 1024. Batch 1024 reaches 97 % [97, 97] of the best "
        "throughput (batch 4096) with 30 % of its memory, not counting the framework's import. "
        "Only measured: the CPU, 1 thread."
    )
    assert remark.startswith(REMARK)


def test_the_reference_itself_may_be_the_answer(tmp_path):
    """The ratio is then the inverse of one speedup."""
    found = choice(measured(tmp_path, {1024: 1.01, 4096: 1.03}))
    assert (found.value, found.best) == (256, 4096)
    assert found.throughput.value == pytest.approx(1 / 1.03)


def test_the_best_is_recommended_where_every_smaller_size_is_shown_to_be_slower(tmp_path):
    """With what the next smaller one reaches."""
    run = measured(tmp_path, {1024: 1.5, 4096: 2.0})
    found = choice(run)
    assert (found.value, found.best, found.next_smaller.value) == (4096, 4096, 1024)
    assert (
        "Batch 4096 has the best throughput; 1024 reaches 75 % [75, 75] of it. Larger batches were "
        "not measured." in words.lines(Analysis(run))[0]
    )


def test_the_smallest_may_be_the_best(tmp_path):
    """Nothing is smaller."""
    run = measured(tmp_path, {1024: 0.8, 4096: 0.7})
    assert choice(run).value == 256
    assert (
        "Batch 256 is the smallest measured and has the best throughput"
        in words.lines(Analysis(run))[0]
    )


def test_two_sizes_with_a_common_reference_are_compared_by_both_of_its_blocks(tmp_path):
    """Variances of logarithms add; degrees of freedom are Satterthwaite's."""
    run = with_noise(measured(tmp_path, {1024: 1.5, 4096: 1.55}), 0.005)
    sizes = [m for m in run.outcomes if m.case != m.reference]
    ratio = Ratios("batch_size", sizes, Speedups()).over(1024, 4096)
    # Two groups of three values a standard deviation of 0.005 apart: 4 degrees of freedom.
    half = 2.7764 * 0.005 * math.sqrt(2 / 3)
    assert ratio.value == pytest.approx(1.5 / 1.55)
    assert math.log(ratio.high / ratio.low) / 2 == pytest.approx(half, rel=1e-3)


def test_a_direct_comparison_counts_where_there_is_one(tmp_path):
    """Rather than both with the reference."""
    runner = runner_of(tmp_path, FakeLauncher(seconds({1024: 1.5, 4096: 1.55})))
    for size in SIZES:
        runner.measure(case(size), case())
    runner.measure(case(4096), case(1024))
    ratios = Ratios("batch_size", with_noise(runner.run(), 0.005).outcomes, Speedups())
    half = 4.3027 * 0.005 / math.sqrt(3)  # 2 degrees of freedom
    ratio = ratios.over(1024, 4096)
    assert math.log(ratio.high / ratio.low) / 2 == pytest.approx(half, rel=1e-3)


@pytest.mark.parametrize(
    ("spread", "value", "undecided"),
    [(0.005, 1024, []), (0.03, 4096, [1024]), (0.06, None, [1024])],
)
def test_the_interval_decides_and_not_the_value(tmp_path, spread, value, undecided):
    """1024 has 97 % of the best in every run."""
    run = with_noise(measured(tmp_path, {1024: 1.5, 4096: 1.55}), spread)
    found = choice(run)
    assert found.value == value
    assert [rival.value for rival in found.undecided] == undecided
    if value is None:
        assert found.case.batch_size == 4096, "what a plan is made for"
        (text, _) = words.lines(Analysis(run))
        assert text.startswith("No recommendation for baseline. No batch size: 1024 (97 % [")
        assert "may be within 5 % of the best measured, batch 4096" in text
        assert "measure at thorough effort" in text


def test_thorough_effort_has_no_higher_one(tmp_path):
    """A quieter machine is left."""
    run = with_noise(measured(tmp_path, {1024: 1.5, 4096: 1.55}, effort="thorough"), 0.06)
    assert choice(run).todo == "measure again when the machine is quieter"


def test_a_smaller_size_that_may_do_is_named(tmp_path):
    """256 at 94.5 % [94, 95.x] beside 1024 that is shown to be enough."""
    run = with_noise(measured(tmp_path, {1024: 1.055, 4096: 1.057}), 0.004)
    found = choice(run)
    assert found.value == 1024
    assert [rival.value for rival in found.undecided] == [256]
    assert (
        "Batch 256 may be enough, too, but not every comparison shows it: 95 % [94, 96] of the "
        "throughput of batch 4096" in words.lines(Analysis(run))[0]
    )


def test_the_best_is_recommended_where_it_is_shown_to_be_enough(tmp_path):
    """Though a smaller one may do as well: 1024 has 96 % of it."""
    run = with_noise(measured(tmp_path, {1024: 1.5, 4096: 1.56}), 0.006)
    found = choice(run)
    assert (found.value, found.best) == (4096, 4096)
    assert [rival.value for rival in found.undecided] == [1024]
    line = words.lines(Analysis(run))[0]
    assert (
        "batch 4096. No other batch size measured is more than 5 % faster. Larger batches were not "
        "measured. Batch 1024 may be enough, too, but not every comparison shows it: 96 % [" in line
    )
    assert line.count("96 %") == 1


def test_a_knee_names_all_ratios_to_the_best(tmp_path):
    """Of the other values."""
    sizes = measured(tmp_path, {1024: 1.5, 4096: 1.55}).outcomes
    assert set(knee(Ratios("batch_size", sizes, Speedups())).over_best) == {256, 1024}


@pytest.mark.parametrize(
    ("changes", "reason", "todo"),
    [
        ({"effort": "quick"}, "quick effort has no intervals", "at default effort"),
        ({"blocks": 2}, "fewer than three blocks", "at default effort"),
    ],
)
def test_no_size_is_recommended_without_intervals(tmp_path, changes, reason, todo):
    """It says what to do instead."""
    run = measured(tmp_path, {1024: 1.5, 4096: 1.55}, **changes)
    found = choice(run)
    assert found.value is None
    assert reason in found.reason
    assert todo in found.todo
    assert words.lines(Analysis(run))[0].startswith("No recommendation")


def test_no_size_is_recommended_from_a_disturbed_comparison(tmp_path):
    """With the figure, and what to do about it."""
    run = measured(tmp_path, {1024: 1.5, 4096: 1.55})
    rounds = tuple(dataclasses.replace(r, other_cpu_seconds=1.0) for r in run.outcomes[1].rounds)
    outcomes = (run.outcomes[0], dataclasses.replace(run.outcomes[1], rounds=rounds))
    found = choice(dataclasses.replace(run, outcomes=(*outcomes, run.outcomes[2])))
    assert found.value is None
    assert found.reason.startswith("disturbed: other processes kept CPUs busy meanwhile (")
    assert found.todo == "stop other programs and measure again"


def test_a_variant_whose_cases_all_failed_has_the_reasons_and_no_plan(tmp_path):
    """Nothing to recommend, nothing to plan from."""
    failures = {case(size).id: ("oom", "memory ran out", "") for size in SIZES}
    run = measured(tmp_path, {}, failures)
    (found,) = advice.advise(Analysis(run))
    assert (found.case, found.choices) == (None, ())
    assert words.lines(Analysis(run))[0].startswith(
        "No recommendation for baseline. Failed: batch 256 on the CPU: oom: memory ran out"
    )
    assert cost.planned(Analysis(run)) == [(found, None)]


def test_a_variant_that_was_only_the_reference_of_a_failure_has_no_advice(tmp_path):
    """Nothing is known of it."""
    other = dataclasses.replace(case(), variant="improved")
    runner = runner_of(tmp_path, FakeLauncher(failures={other.id: ("oom", "memory ran out", "")}))
    runner.measure(other, case())
    assert [found.variant for found in advice.advise(Analysis(runner.run()))] == ["improved"]


def test_a_size_that_failed_is_named_beside_the_others(tmp_path):
    """The others are compared all the same."""
    failures = {case(4096).id: ("oom", "memory ran out", "")}
    run = measured(tmp_path, {1024: 1.5}, failures)
    assert choice(run).value == 1024
    assert "Failed: batch 4096 on the CPU: oom: memory ran out" in words.lines(Analysis(run))[0]


def test_one_size_is_no_choice_but_can_be_planned(tmp_path):
    """And the console says nothing of it."""
    run = measured(tmp_path, {}, sizes=(256,))
    found = choice(run)
    assert (found.value, found.reason) == (None, "the only one measured")
    assert words.lines(Analysis(run)) == []
    ((_, planned),) = cost.planned(Analysis(run))
    assert planned.case == case()


def test_threads_are_chosen_like_sizes(tmp_path):
    """Two are needed: one has 60 % of their throughput."""
    launcher = FakeLauncher(lambda a_case: 1e-3 / {1: 0.6, 2: 1.0}[a_case.threads])
    runner = runner_of(tmp_path, launcher)
    for threads in (1, 2):
        runner.measure(case(threads=threads), case(threads=1))
    run = runner.run()
    found = choice(run, "threads")
    assert (found.value, found.next_smaller.value) == (2, 1)
    assert found.next_smaller.throughput.value == pytest.approx(0.6)
    assert "2 threads has the best throughput; 1 reaches 60 %" in words.lines(Analysis(run))[0]
    assert advice.advise(Analysis(run))[0].case == case(threads=2)


def test_a_setting_that_ended_after_one_block_is_no_reason_to_refuse(tmp_path):
    """Half of the threads, screened as a setting, beside the full comparison of threads."""
    launcher = FakeLauncher(lambda a_case: 1e-3 / {1: 0.6, 2: 1.0}[a_case.threads])
    runner = runner_of(tmp_path, launcher, effort="default")
    runner.measure(case(threads=2), case(threads=1))
    half = runner.measure(case(threads=1), case(threads=2))
    one = {"rounds": tuple(r for r in half.rounds if not r.block), "ended": "screened"}
    one["starts"] = tuple(s for s in half.starts if not s.block)
    runner.keep(dataclasses.replace(half, **one))
    assert choice(runner.save(), "threads").value == 2


def on_both(folder, gpu_seconds, sizes=(64,), spread=0.0):
    machine = dataclasses.replace(MACHINE, gpu="Fake GPU", gpu_reason=None)
    launcher = FakeLauncher(lambda c: gpu_seconds if c.device == "gpu" else 1e-3)
    runner = runner_of(folder, launcher, machine=machine, gpu=FakeGpu())
    usage = gpu_usage(busy_gpu)
    outcomes = [
        with_gpu_usage(runner.measure(case(size, device="gpu"), case(size)), usage)
        for size in sizes
    ]
    run = dataclasses.replace(runner.run(), outcomes=tuple(outcomes))
    return with_noise(run, spread)


@pytest.mark.parametrize(("gpu_seconds", "device"), [(1e-4, "gpu"), (2e-3, "cpu"), (1e-3, None)])
def test_the_device_is_chosen_by_the_paired_comparison(tmp_path, gpu_seconds, device):
    """The same within 2 % is no choice."""
    run = on_both(tmp_path, gpu_seconds)
    found = choice(run, "device")
    assert found.value == device
    if device == "gpu":
        assert advice.advise(Analysis(run))[0].case.device == "gpu"
        text = words.lines(Analysis(run))[0]
        assert "The GPU has 10.00× [10.00, 10.00] the throughput of the CPU at batch 64" in text
        assert "Only measured: batch 64 on the CPU" in text
    elif device == "cpu":
        assert found.throughput.value == pytest.approx(2.0)
    else:
        assert found.reason == "both are the same within 2 %"


def test_a_difference_of_devices_that_is_not_shown_is_no_choice(tmp_path):
    """And says what would show it."""
    found = choice(on_both(tmp_path, 0.95e-3, spread=0.1), "device")
    assert (found.value, found.reason) == (None, "undecided")
    assert found.todo == "measure at thorough effort"


def test_sizes_that_were_not_compared_with_each_other_are_no_choice(tmp_path):
    """Each was compared with the other device."""
    found = choice(on_both(tmp_path, 1e-4, sizes=(64, 256)))
    assert (found.value, found.reason) == (None, "they were not compared with each other")


def test_trainings_in_full_say_how_many_epochs_a_size_needs(tmp_path):
    """In place of the remark that names the suite."""
    runner = runner_of(
        tmp_path, FakeLauncher(seconds({1024: 1.5, 4096: 1.55})), target=0.985
    )  # fmt: skip
    for size in SIZES:
        runner.measure(case(size), case())
    runner.train([Recipe(case(), 3, case()), Recipe(case(1024), 2, case())])
    assert words.lines(Analysis(runner.run()))[-1] == (
        "Note on baseline: epochs to test accuracy 0.985: batch 256 2.0 (1 seed), batch 1024 "
        "2.0 (1 seed)"
    )


def test_a_plan_is_the_start_once_and_the_epochs_of_fit(tmp_path):
    """In the fakes: 0.25 s an epoch, its first step, and 1.1 ms a sample from then on."""
    run = measured(tmp_path, {}, sizes=(256,))
    made = cost.plan(Analysis(run), case(), samples=10_256, epoch_count=15, rates=cost.Rates(2.0))
    epoch = 0.25 + 0.256 + 10_000 * 1.1e-3
    assert made.epoch_seconds.value == pytest.approx(epoch)
    start = made.start_seconds.value
    assert made.training_seconds.value == pytest.approx(start + 15 * epoch, rel=1e-6)
    assert made.training_seconds.n == 3
    assert made.training_seconds.low <= made.training_seconds.value <= made.training_seconds.high
    assert made.cost.value == pytest.approx(2.0 * made.training_seconds.value / 3600)
    assert made.cost.low == pytest.approx(2.0 * made.training_seconds.low / 3600)
    assert made.source == "timed parts of Model.fit"


def test_without_samples_a_plan_is_of_the_training_set(tmp_path):
    """One epoch of it."""
    made = cost.plan(Analysis(measured(tmp_path, {}, sizes=(256,))), case())
    assert (made.samples, made.epochs, made.cost) == (60_000, 1, None)


def test_a_plan_of_a_reference_has_its_steps_alone(tmp_path):
    """No fit of it was timed, and the source says so."""
    runner = runner_of(tmp_path, FakeLauncher(seconds({1024: 1.5})))
    runner.measure(case(1024), case())
    made = cost.plan(Analysis(without_fits(runner.run())), case(), samples=25_600)
    assert made.epoch_seconds.value == pytest.approx(25.6)
    assert "without the overhead of Model.fit" in made.source


def test_memory_is_the_largest_peak_and_a_margin(tmp_path):
    """200 MiB, and a fifth."""
    memory = cost.plan(Analysis(measured(tmp_path, {}, sizes=(256,))), case()).host_memory
    assert memory.peak_bytes.value == 200 * MIB
    assert memory.needed_bytes == pytest.approx(240 * MIB)


def test_energy_is_the_power_in_rounds_times_the_time_of_the_steps(tmp_path):
    """On a GPU; on a CPU the reason stands in its place."""
    run = on_both(tmp_path, 1e-4)
    made = cost.plan(Analysis(run), case(64, device="gpu"), samples=10_000, epoch_count=2)
    row = dataframe(run, "measurements").set_index("device").loc["gpu"]
    assert made.energy_joules.value == pytest.approx(20_000 * row["joules_per_sample"])
    assert made.gpu_memory.needed_bytes == pytest.approx(360 * MIB)
    table = plan_table(Analysis(run), cost.planned(Analysis(run)))
    assert any(note.startswith("energy: power of the GPU board") for note in table.notes)
    on_cpu = cost.plan(Analysis(run), case(64))
    assert (on_cpu.energy_joules, on_cpu.gpu_memory) == (None, None)
    assert on_cpu.cpu_energy_missing == "the run has no reading"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"samples": 255}, "--samples: 255 is less than a batch of 256"),
        ({"epoch_count": 0}, "--epochs: 0 is not a whole number from 1"),
        ({"rates": cost.Rates(0.0)}, "--price-per-hour: 0 is not a number above 0"),
        ({"rates": cost.Rates(math.nan)}, "--price-per-hour: nan is not a number above 0"),
        ({"rates": cost.Rates(None, -1.0)}, "--price-per-kwh: -1 is not a number above 0"),
        ({"rates": cost.Rates(grams_per_kwh=0.0)}, "--grams-per-kwh: 0 is not a number above 0"),
    ],
)
def test_what_cannot_be_planned_is_a_mistake(tmp_path, given, message):
    """Of one line."""
    run = measured(tmp_path, {}, sizes=(256,))
    with pytest.raises(BadCase, match=message):
        cost.planned(Analysis(run), **given)


def test_a_variant_or_a_comparison_that_is_not_there_is_a_mistake(tmp_path):
    """It says what there is."""
    run = measured(tmp_path, {}, sizes=(256,))
    with pytest.raises(UnknownName, match="no variant 'x'; it has baseline"):
        cost.planned(Analysis(run), variant="x")
    with pytest.raises(BadRun, match="no comparison to advise from"):
        cost.planned(Analysis(dataclasses.replace(run, outcomes=())))


@pytest.fixture
def results(tmp_path):
    """A folder of results with one run."""
    measured(tmp_path / "runs" / "one", {1024: 1.5, 4096: 1.55})
    return tmp_path


def test_advise_prints_advice_and_plan(results, capsys):
    """Of the training that was asked for."""
    asked = ["advise", "one", "--epochs", "15", "--price-per-hour", "2.5", "--output", str(results)]
    assert main(asked) == 0
    shown = capsys.readouterr().out
    for text in (
        "Recommendation for baseline: batch 1024",
        "Cost of 15 epochs of 60\N{NARROW NO-BREAK SPACE}000 samples",
        "baseline 1024",
        "missing: CPU energy: the run has no reading",
    ):
        assert text in shown


def test_advise_prints_one_json_object(results, capsys):
    """And nothing else."""
    asked = ["advise", "one", "--samples", "2048", "--json", "--output", str(results)]
    assert main(asked) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["run"], found["effort"]) == (1, "one", "default")
    (one,) = found["advice"]
    assert one["variant"] == "baseline"
    assert one["recommended"] is True
    size = next(c for c in one["choices"] if c["axis"] == "batch_size")
    assert (size["value"], size["best"], size["measured"]) == (1024, 4096, [256, 1024, 4096])
    assert set(size["throughput"]) == {"value", "low", "high", "n", "confidence"}
    assert one["plan"]["samples"] == 2048
    assert one["plan"]["energy_joules"] is None
    assert one["plan"]["cpu_energy_missing"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--variant", "x"], "no variant 'x'"),
        (["--epochs", "-1"], "--epochs: -1 is not"),
        (["--samples", "3"], "--samples: 3 is less than a batch"),
    ],
)
def test_a_mistake_of_advise_is_one_line(results, capsys, asked, message):
    """On stderr, with exit code 2."""
    assert main(["advise", "one", "--output", str(results), *asked]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_advise_of_a_run_without_a_measured_case_ends_with_1(tmp_path, capsys):
    """And shows why."""
    failures = {case(size).id: ("oom", "memory ran out", "") for size in SIZES}
    measured(tmp_path / "runs" / "one", {}, failures)
    assert main(["advise", "--output", str(tmp_path)]) == 1
    assert "batch 256 on the CPU: oom: memory ran" in capsys.readouterr().out


def test_the_final_summary_ends_with_the_recommendation(results, capsys, no_charts):
    """Below the cautions, above the paths."""
    assert main(["report", "one", "--output", str(results)]) == 0
    shown = capsys.readouterr().out
    assert shown.index("Recommendation for baseline: batch 1024") < shown.index("Written to:")
