"""A run summed up in a sentence."""

import dataclasses

from fakes import FakeLauncher, runner_of

from harness.analyze.analysis import Analysis
from harness.records import Case, Recipe
from harness.report.sentence import sentence

BASE = Case("baseline", "mnist", 256)
LARGE = dataclasses.replace(BASE, batch_size=1024)
WIDE = dataclasses.replace(BASE, variant="wide")


def measured(folder, cases, factors, failures=None, **changes):
    """A run of cases against the first, which take that many times as long a sample."""
    seconds = {case: 1e-3 * factor for case, factor in zip(cases, factors, strict=True)}
    runner = runner_of(folder, FakeLauncher(seconds.get, failures), len(cases), **changes)
    for case in cases:
        runner.measure(case, cases[0])
    return runner.run()


def trained(folder, target=0.985, seeds=(0, 1, 2), wrong=lambda case: range(100)):
    """Two models in full, the second twice as fast."""
    launcher = FakeLauncher(lambda case: 1e-3 if case.variant == "baseline" else 5e-4)
    launcher.wrong = wrong
    runner = runner_of(folder, launcher, target=target)
    for seed in seeds:
        base = dataclasses.replace(BASE, seed=seed)
        wide = dataclasses.replace(WIDE, seed=seed)
        runner.train([Recipe(base, 3, base), Recipe(wide, 3, base)])
    return runner.run()


def test_the_largest_speedup_has_its_interval_and_what_it_compares(tmp_path):
    """After how many of each verdict there are."""
    run = measured(tmp_path, [BASE, LARGE, WIDE], [1, 0.8, 2])
    assert sentence(Analysis(run)) == (
        "2 comparisons: 1 faster, 1 slower; the largest speedup is 1.25× [1.25, 1.25], "
        "baseline at batch 1024 against batch 256."
    )


def test_where_nothing_is_faster_the_largest_slowdown_is_named(tmp_path):
    """A speedup below 1."""
    run = measured(tmp_path, [BASE, LARGE, WIDE], [1, 1.25, 2])
    assert "the largest slowdown is 0.50× [0.50, 0.50], wide at batch 256" in sentence(
        Analysis(run)
    )


def test_nothing_shown_is_said_so(tmp_path):
    """Two blocks have no interval; it is not called the same."""
    run = measured(tmp_path, [BASE, LARGE], [1, 0.8], blocks=2)
    assert sentence(Analysis(run)) == "1 comparison, all undecided."


def test_the_same_is_a_verdict_of_its_own(tmp_path):
    """The whole interval lies within the margin."""
    run = measured(tmp_path, [BASE, LARGE], [1, 1])
    assert sentence(Analysis(run)) == "1 comparison: 1 the same within 2 %."


def test_quick_effort_judges_nothing(tmp_path):
    """And names no speedup."""
    run = measured(tmp_path, [BASE, LARGE], [1, 0.8], effort="quick")
    assert sentence(Analysis(run)) == "1 comparison at quick effort, which gives no verdicts."


def test_failures_are_counted(tmp_path):
    """Beside what was measured, or alone."""
    failures = {LARGE.id: ("oom", "memory ran out", "")}
    assert sentence(Analysis(measured(tmp_path / "a", [BASE, LARGE], [1, 1], failures))).endswith(
        "against itself; 1 failed."
    )
    failures[BASE.id] = failures[LARGE.id]
    assert (
        sentence(Analysis(measured(tmp_path / "b", [BASE, LARGE], [1, 1], failures))) == "2 failed."
    )


def test_the_device_is_named_where_a_run_has_two(tmp_path):
    """Unless it is what is compared."""
    gpu = dataclasses.replace(WIDE, device="gpu")
    run = measured(tmp_path, [BASE, WIDE, gpu], [1, 0.5, 0.6])
    assert "2.00× [2.00, 2.00], wide at batch 256 against baseline (cpu)." in sentence(
        Analysis(run)
    )


def test_trainings_alone_have_a_sentence(tmp_path):
    """Accuracy first, then the time to it."""
    text = sentence(Analysis(trained(tmp_path)))
    assert text.startswith("Full training of 2 models with 3 seeds; no difference shown in test")
    assert "in the time to test accuracy 0.985 is 2.00× [2.00, 2.00], wide at batch 256" in text


def test_a_difference_of_accuracy_that_is_shown_is_in_points(tmp_path):
    """With its interval."""
    run = trained(tmp_path, wrong=lambda c: range(100 if c.variant == "baseline" else 400))
    assert "test accuracy shown in 1 of 1, the largest -3.00 [" in sentence(Analysis(run))


def test_trainings_that_cannot_be_judged_claim_nothing(tmp_path):
    """One seed has no interval of time."""
    assert "time to test accuracy" not in sentence(Analysis(trained(tmp_path, seeds=(0,))))
