"""Ladders: read from text, measured rung by rung, taken together."""

import dataclasses
import itertools

import pytest
from fakes import FakeLauncher, runner_of
from samples import dataframe, dataframes, text_table

from harness.analyze.analysis import Analysis
from harness.errors import HarnessError
from harness.records import Case, Ladder, Rung
from harness.report import files, formats
from harness.workloads import ladder


def test_a_ladder_is_read_from_one_line():
    """A change of the baseline, another batch size, a variant of the user's."""
    found = ladder.steps("baseline@256, +wide_kernel, @1024, +adam@2048")
    assert [(s.variant, s.batch_size) for s in found] == [
        ("baseline", 256),
        ("wide_kernel", 256),
        ("wide_kernel", 1024),
        ("baseline+wide_kernel+adam", 2048),
    ]
    assert [s.change for s in found] == [
        "",
        "first kernel 3×3 → 9×9",
        "batch 256 → 1024",
        "Adadelta → Adam, batch 1024 → 2048",
    ]


def test_every_order_ends_at_the_improved_variant():
    """Equal models have equal names."""
    for text in (
        "baseline@256,+wide_kernel,+no_hidden_dense,+less_dropout,+adam,@1024",
        "baseline@256,@1024,+adam,+less_dropout,+no_hidden_dense,+wide_kernel",
    ):
        last = ladder.steps(text)[-1]
        assert (last.variant, last.batch_size) == ("improved", 1024)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("baseline@256", "at least two steps"),
        ("baseline,improved", "begins with VARIANT@BATCH"),
        ("+adam@256,@512", "begins with VARIANT@BATCH"),
        ("baseline@256,@256", "changes nothing"),
        ("baseline@256,+adam,+adam", "changes nothing"),
        ("baseline@many,@256", "'many' is not a batch size"),
        ("baseline@256,+wide", "no change 'wide'"),
        ("baseline@256,basline", "did you mean baseline"),
        ("single_dropout@256,+adam", "only the baseline and its changes"),
    ],
)
def test_what_is_no_ladder_is_refused(text, message):
    """With what is wrong."""
    with pytest.raises(HarnessError) as refused:
        ladder.steps(text)
    assert message in str(refused.value)


FACTORS = {"wide_kernel": 1.25, "improved": 0.5, "baseline": 1.0}


def climbed(folder, factors=FACTORS, names=("as published",), **changes):
    """A ladder of three rungs: wide kernel, the rest, the batch size."""
    launcher = FakeLauncher(
        lambda case: 1e-3 * factors[case.variant] * (0.8 if case.batch_size == 1024 else 1.0),
        parameters={"baseline": 1000, "wide_kernel": 1000, "improved": 100},
    )
    cases = [Case("baseline", "mnist", 256), Case("wide_kernel", "mnist", 256)]
    cases += [Case("improved", "mnist", 256), Case("improved", "mnist", 1024)]
    changed = ("kernel", "the rest", "batch")
    runner = runner_of(folder, launcher, 4, **changes)
    rungs = tuple(Rung(*r) for r in zip(changed, cases[1:], cases[:-1], strict=True))
    for name in names:
        runner.keep(Ladder(name, rungs))
    for rung in rungs:
        runner.measure(rung.case, rung.reference)
    runner.measure(cases[-1], cases[0])
    return runner


def test_the_product_of_the_rungs_is_the_direct_comparison(tmp_path):
    """0.8 × 2.5 × 1.25 = 2.5."""
    frame = dataframe(climbed(tmp_path).save(), "ladder")
    assert list(frame["rung"]) == ["1", "2", "3", "direct"]
    assert list(frame["speedup"]) == pytest.approx([0.8, 2.5, 1.25, 2.5])
    assert list(frame["cumulative"][:3]) == pytest.approx([0.8, 2.0, 2.5])
    assert frame["product_over_direct"].iloc[-1] == pytest.approx(1.0)
    assert frame["share"].sum() == pytest.approx(1.0)
    assert list(frame["parameter_ratio"]) == pytest.approx([1, 10, 1, 10])


def test_shares_are_of_a_product_that_is_shown_to_differ_from_one(tmp_path):
    """Shares of nothing are noise."""
    run = climbed(tmp_path, {"wide_kernel": 1.0, "improved": 0.8, "baseline": 0.64}).save()
    frame = dataframe(run, "ladder")
    assert frame["cumulative"].iloc[2] == pytest.approx(1.0)
    assert frame["share"].isna().all()


def test_a_single_rung_is_not_checked_against_itself(tmp_path):
    """It is the direct comparison."""
    runner = runner_of(tmp_path, FakeLauncher())
    one, other = Case("baseline", "mnist", 256), Case("improved", "mnist", 1024)
    runner.keep(Ladder("short", (Rung("all", other, one),)))
    runner.measure(other, one)
    frame = dataframe(runner.save(), "ladder")
    assert list(frame["rung"]) == ["1", "direct"]
    assert frame["product_over_direct"].isna().all()


def test_ladders_of_two_backends_stand_apart(tmp_path):
    """And notes name the backend."""
    runner = climbed(tmp_path)
    (first,) = runner.run().ladders
    rungs = tuple(
        Rung(r.change, *(dataclasses.replace(c, backend="jax") for c in (r.case, r.reference)))
        for r in first.rungs
    )
    runner.keep(Ladder(first.name, rungs))
    for rung in rungs:
        runner.measure(rung.case, rung.reference)
    run = runner.save()
    assert len(run.ladders) == 2
    built = text_table(run, "ladder")
    assert any(note.startswith("as published, tensorflow: product") for note in built.notes)
    assert not any(note.startswith("by the place") for note in built.notes), "one place each"
    files.write(run, tmp_path)


def test_what_lies_between_the_ends_is_in_the_file_and_not_in_the_table(tmp_path):
    """Measurements."""
    factors = {"baseline": 1.0, "baseline+adam": 0.9, "improved": 0.5}
    runner = runner_of(tmp_path, FakeLauncher(lambda case: 1e-3 * factors[case.variant]))
    cases = [Case(variant, "mnist", 256) for variant in factors]
    runner.keep(Ladder("by Adam", tuple(Rung("", b, a) for a, b in itertools.pairwise(cases))))
    for case, reference in ((cases[1], cases[0]), (cases[2], cases[1]), (cases[0], cases[0])):
        runner.measure(case, reference)
    run = runner.save()
    frame = dataframe(run, "measurements")
    built = text_table(run, "measurements")
    assert len(frame) == 3
    assert len(built.rows) == 2
    assert "1 more row in the file" in built.notes
    assert "model_size_speedup" not in dataframes(run)


def test_rungs_are_in_no_other_table(tmp_path):
    """Unless it has other rows against the same reference."""
    runner = climbed(tmp_path)
    assert set(dataframes(runner.save())) == {"measurements", "ladder", "bottleneck"}
    assert Analysis(runner.save()).roles.others() == []
    baseline = Case("baseline", "mnist", 256)
    runner.measure(baseline, baseline)
    frame = dataframe(runner.save(), "model_size_speedup")
    assert list(frame["variant"]) == ["baseline", "wide_kernel"]


def test_a_ladder_says_whether_its_product_agrees(tmp_path):
    """And what a change brings by its place."""
    run = climbed(tmp_path).save()
    built = text_table(run, "ladder")
    assert any(
        "over the direct comparison 1.00×" in note and "they agree" in note for note in built.notes
    )
    assert "all 3 at once" in formats.to_markdown(built)


def test_a_ladder_outlives_an_interruption(tmp_path):
    """It is in the journal."""
    climbed(tmp_path).close()
    assert [each.name for each in climbed(tmp_path).save().ladders] == ["as published"]


def test_a_missing_rung_ends_the_product(tmp_path):
    """The rungs before it stay."""
    run = climbed(tmp_path).save()
    wide = Case("wide_kernel", "mnist", 256)
    kept = tuple(o for o in run.outcomes if o.reference != wide)
    frame = dataframe(dataclasses.replace(run, outcomes=kept), "ladder")
    assert list(frame["rung"]) == ["1", "direct"]
    assert frame["product_over_direct"].isna().all()
