"""Runs compared case by case: exact cases, what must not be called, exit codes."""

import dataclasses
import json
import math
import random

import pytest
from fakes import MACHINE, FakeLauncher, protocol, runner_of

from harness.analyze.compare import drift, gate, run_diff
from harness.analyze.compare.run_diff import FEW_BLOCKS, NO_DRIFT
from harness.commands.parser import main
from harness.errors import BadComparison
from harness.records import (
    Case,
    Failure,
    Measurement,
    ModelFacts,
    Round,
    Run,
    from_json,
    to_json,
)
from harness.records.case import PROTOCOL_VERSION
from harness.report import run_diffs

FACTS = ModelFacts(1000, 5000, "layers", "Adam", 60_000, "cpu", "fake 1.0", 2.3, True)
ALL_SAME = 1e-3


def case(variant="baseline", batch_size=256, threads=2, dataset="mnist", **more):
    return Case(variant, dataset, batch_size, threads=threads, **more)


MODELS = [case(), *(case(f"model{i}") for i in range(1, 6))]
STAR = [(model, MODELS[0]) for model in MODELS]  # each against the first, which is its own floor


def timed(role, block, pair, a_case, seconds):
    seconds *= a_case.batch_size
    return Round(block, pair, role, 0, 1, seconds, 2.3, cpu_seconds=seconds)


def measurement(one, reference, seconds, blocks=6, comparison=0):
    """`seconds(case, comparison, block)` a sample."""
    rounds = [
        timed(role, block, pair, side, seconds(side, comparison, block))
        for block in range(blocks)
        for pair in range(2)
        for role, side in (("case", one), ("reference", reference))
    ]
    return Measurement(one, reference, FACTS, FACTS, 1, 1, 2, tuple(rounds), (), 1.0)


def run(name, seconds=lambda *_: ALL_SAME, comparisons=STAR, blocks=6, machine=MACHINE, **changes):
    outcomes = [
        measurement(one, reference, seconds, blocks, number)
        for number, (one, reference) in enumerate(comparisons)
    ]
    chosen = protocol(blocks=blocks, **changes)
    return Run(name, "2026-11-25T01:00:00+00:00", machine, chosen, tuple(outcomes))


def slower(*variants, by=1.1, noise=lambda *_: 1.0):
    def seconds(a_case, comparison, block):
        factor = by if a_case.variant in variants else 1.0
        return ALL_SAME * factor * noise(a_case, comparison, block)

    return seconds


def noisy(seed, block_sd=0.01, comparison_sd=0.005, hour=0.0):
    """Blocks that differ, comparisons that drift, an hour that all share."""
    rng = random.Random(seed)
    drift = {}

    def noise(_, comparison, __):
        shared = drift.setdefault(comparison, rng.gauss(0, comparison_sd))
        return math.exp(hour + shared + rng.gauss(0, block_sd))

    return noise


def verdicts(comparison):
    return {row.case.variant: row.verdict for row in comparison.cases}


def one(reference, other):
    (found,) = run_diff.compare(reference, [other])
    return found


def test_equal_durations_give_exactly_one_and_the_verdict_same():
    """And nothing that differs, and an interval without width."""
    found = one(run("a"), run("b"))
    assert found.differences == ()
    assert len(found.cases) == 6
    for row in found.cases:
        assert (row.time.value, row.time.low, row.time.high) == (1.0, 1.0, 1.0)
        assert row.verdict == "same"
    assert found.together.ratio.value == 1.0


def test_a_slower_case_is_found_by_exactly_its_factor_and_stands_first():
    """The others are the same."""
    found = one(run("a"), run("b", slower("model3")))
    assert found.cases[0].case.variant == "model3"
    assert found.cases[0].time.value == pytest.approx(1 / 1.1)
    assert found.cases[0].pair.value == pytest.approx(1 / 1.1)
    assert verdicts(found).pop("model3") == "slower"
    assert [row.verdict for row in found.cases[1:]] == ["same"] * 5


def test_a_slower_case_is_found_in_noise_by_its_pair():
    """Ten percent, where its hour alone may move a time by as much."""
    reference = run("a", slower(noise=noisy(1, comparison_sd=0.03)))
    found = one(reference, run("b", slower("model3", noise=noisy(2, comparison_sd=0.03))))
    row = found.cases[0]
    assert (row.case.variant, row.judged_by, row.verdict) == ("model3", "pair", "slower")
    assert row.time.high > 1 / 1.02, "its time alone would not have shown it"


def test_a_drift_that_all_cases_share_is_called_of_none():
    """Five percent, between runs whose comparisons drift by three."""
    reference = run("a", slower(noise=noisy(3, comparison_sd=0.03)))
    found = one(reference, run("b", slower(noise=noisy(4, comparison_sd=0.03, hour=0.05))))
    assert not {"faster", "slower"} & {*verdicts(found).values(), found.together.verdict}
    assert found.together.ratio.value == pytest.approx(math.exp(-0.05), abs=0.03)


def test_a_large_change_of_all_cases_is_shown_by_time():
    """Twice the time is no matter of the hour."""
    found = one(
        run("a", slower(noise=noisy(5))), run("b", slower(noise=noisy(6, hour=math.log(2))))
    )
    assert {row.judged_by for row in found.cases} == {"time"}
    assert {*verdicts(found).values(), found.together.verdict} == {"slower"}


def test_a_reference_that_moved_does_not_make_its_cases_faster():
    """The pair has two sides; here it is the other one."""
    noises = [noisy(seed, comparison_sd=0.03) for seed in (7, 8)]
    found = one(
        run("a", slower(noise=noises[0])), run("b", slower("baseline", by=1.12, noise=noises[1]))
    )
    others = [row for row in found.cases if row.case.variant != "baseline"]
    assert {row.verdict for row in others} == {"undecided"}
    assert {row.reason for row in others} == {run_diff.CONTROL_MOVED}


def test_another_machine_is_judged_by_time_and_named():
    """Its own reference says nothing of what moves all."""
    other = dataclasses.replace(MACHINE, cpu="Fast CPU", memory_bytes=16 * 2**30)
    found = one(run("a"), run("b", slower(*(m.variant for m in MODELS), by=0.5), machine=other))
    assert [(d.what, d.reference, d.other) for d in found.differences] == [
        ("cpu", "Fake CPU", "Fast CPU"),
        ("memory_bytes", "8192 MiB", "16.0 GiB"),
    ]
    assert not found.judged_by_pairs
    assert {(row.judged_by, row.verdict) for row in found.cases} == {("time", "faster")}
    assert found.cases[0].time.value == pytest.approx(2.0)


def test_a_library_that_trained_is_a_difference_that_moves_all_and_one_that_did_not_is_not():
    """TensorFlow's version; Torch beside it."""
    newer = dataclasses.replace(MACHINE, libraries={**MACHINE.libraries, "torch": "2.13"})
    assert one(run("a"), run("b", machine=newer)).judged_by_pairs
    newer = dataclasses.replace(MACHINE, libraries={**MACHINE.libraries, "tensorflow": "2.22"})
    found = one(run("a"), run("b", machine=newer))
    assert [(d.what, d.reference, d.other) for d in found.differences] == [
        ("tensorflow", "2.21.0", "2.22")
    ]
    assert not found.judged_by_pairs


def test_a_model_that_is_another_under_the_same_name_is_named():
    """By what its worker says of it."""
    other = run("b")
    facts = dataclasses.replace(FACTS, parameters=2000)
    outcomes = [
        dataclasses.replace(m, facts=facts) if m.case.variant == "model2" else m
        for m in other.outcomes
    ]
    found = one(run("a"), dataclasses.replace(other, outcomes=tuple(outcomes)))
    assert [(d.what, d.reference, d.other) for d in found.differences] == [
        ("model2: parameters", "1000", "2000")
    ]


def test_all_threads_match_all_threads_of_another_machine():
    """And the number is named."""
    eight = dataclasses.replace(MACHINE, cpus=8, usable_cpus=8)
    wide = [(dataclasses.replace(m, threads=8), case(threads=8)) for m in MODELS]
    found = one(run("a"), run("b", comparisons=wide, machine=eight))
    assert len(found.cases) == 6
    assert ("usable_cpus", "2", "8") in {(d.what, d.reference, d.other) for d in found.differences}
    fixed = [(dataclasses.replace(m, threads=1), case(threads=1)) for m in MODELS]
    found = one(run("a", comparisons=fixed), run("b", comparisons=fixed, machine=eight))
    assert len(found.cases) == 6, "one thread is one thread"


def test_files_match_by_name_wherever_they_lie():
    """Of models and of data."""
    here, there = (
        case(f"{folder}/m.py:build", dataset=f"{folder}/d.npz") for folder in ("/a", "b/c")
    )
    found = one(run("a", comparisons=[(here, here)]), run("b", comparisons=[(there, there)]))
    assert [row.name for row in found.cases] == ["m.py:build 256"]
    assert found.ambiguous == ()


def test_files_of_one_name_in_one_run_match_by_their_whole_path_and_are_named():
    """Rather than as each other."""
    models = [case(f"/{folder}/m.py:build") for folder in "ab"]
    comparisons = [(model, models[0]) for model in models]
    found = one(run("a", comparisons=comparisons), run("b", comparisons=comparisons))
    assert {row.case.variant for row in found.cases} == {"/a/m.py:build", "/b/m.py:build"}
    assert found.ambiguous == ("m.py:build",)


def test_cases_of_one_run_alone_are_listed():
    """On either side."""
    found = one(run("a", comparisons=STAR[:4]), run("b", comparisons=[*STAR[:3], STAR[5]]))
    assert len(found.cases) == 3
    assert found.only_in_reference == ("model3 256",)
    assert found.only_in_run == ("model5 256",)


def test_a_case_beside_other_cases_is_judged_by_its_time_and_that_is_said():
    """A search for batch sizes may choose another reference in each run."""
    other = [(MODELS[0], MODELS[0]), (MODELS[1], MODELS[1]), (MODELS[2], MODELS[1])]
    found = one(
        run("a", slower(noise=noisy(1))), run("b", slower(noise=noisy(2)), comparisons=other)
    )
    rows = {row.case.variant: row for row in found.cases}
    assert rows["baseline"].reason == ""
    for name in ("model1", "model2"):
        assert (rows[name].judged_by, rows[name].reason) == ("time", run_diff.APART)
        assert rows[name].pair is None
        assert rows[name].time.low < 1 < rows[name].time.high


def test_cases_are_named_beside_a_reason_that_not_all_share():
    """Over all runs that are compared."""
    apart = [(model, MODELS[5]) for model in MODELS]
    others = [run(name, slower(noise=noisy(seed)), apart) for seed, name in enumerate("bc")]
    first = run("a", slower(noise=noisy(9)))
    notes = run_diffs.table(run_diff.compare(first, others)).notes
    assert f"decided by the time: {run_diff.APART}" in notes
    notes = run_diffs.table(
        run_diff.compare(first, [run("b", comparisons=[*STAR[:3], apart[4]])])
    ).notes
    assert f"decided by the time: {run_diff.APART} (model5 256; model4 256)" in notes


def test_another_protocol_version_is_refused():
    """Its times mean something else."""
    with pytest.raises(BadComparison, match=r"b by 99: their times do not mean the same"):
        one(run("a"), run("b", version=99))


def test_runs_without_a_common_case_are_refused():
    """In one line that says what they have."""
    digits = [(case(dataset="digits"), case(dataset="digits"))]
    with pytest.raises(BadComparison, match=r"no case in common.*baseline-digits"):
        one(run("a"), run("b", comparisons=digits))


def test_two_blocks_have_no_verdict():
    """Whatever they show."""
    found = one(run("a", blocks=2, effort="quick"), run("b", slower("model1"), blocks=2))
    assert {(row.verdict, row.reason) for row in found.cases} == {(None, FEW_BLOCKS)}
    assert ("effort", "quick", "default") in {
        (d.what, d.reference, d.other) for d in found.differences
    }
    with pytest.raises(BadComparison, match="could never fail here: fewer than three blocks"):
        gate.judge([found], 0.05)


def test_one_comparison_has_no_verdict_by_time_but_one_by_its_pair():
    """How far the machine drifts is not known; a gate is possible against a yardstick."""
    alone = [(MODELS[1], MODELS[0])]
    found = one(run("a", comparisons=alone), run("b", slower("model1", by=1.2), comparisons=alone))
    rows = {row.case.variant: row for row in found.cases}
    assert (rows["model1"].judged_by, rows["model1"].verdict) == ("pair", "slower")
    assert (rows["baseline"].verdict, rows["baseline"].reason) == (None, NO_DRIFT)
    assert [one.name for one in gate.judge([found], 0.05).crossed] == ["model1 256"]


def failing(a_run, *numbers):
    outcomes = [
        Failure(o.case, o.reference, "oom", "memory ran out") if i in numbers else o
        for i, o in enumerate(a_run.outcomes)
    ]
    return dataclasses.replace(a_run, outcomes=tuple(outcomes))


def test_runs_in_which_nothing_was_measured_have_failures_alone():
    """There is nothing to judge, and no traceback."""
    found = one(failing(run("a"), *range(len(STAR))), failing(run("b"), *range(len(STAR))))
    assert found.cases == ()
    assert len(found.failed_in_both) == len(STAR)


def test_a_comparison_that_newly_failed_is_over_any_threshold():
    """One that no longer fails, or fails in both, is named."""
    fine, broken = run("a"), run("b")
    found = one(failing(fine, 1, 2), failing(broken, 2, 3))
    assert found.newly_failed == ("model3 256 against baseline 256",)
    assert found.no_longer_failed == ("model1 256 against baseline 256",)
    assert found.failed_in_both == ("model2 256 against baseline 256",)
    crossed = gate.judge([found], 10.0).crossed
    assert [(slow.name, slow.ratio) for slow in crossed] == [(found.newly_failed[0], None)]


def test_a_threshold_is_crossed_by_a_whole_interval_alone():
    """A case 10 % slower without noise crosses 5 % and not 15 %."""
    found = one(run("a"), run("b", slower("model3")))
    assert [slow.name for slow in gate.judge([found], 0.05).crossed] == ["model3 256"]
    assert gate.judge([found], 0.15).crossed == ()
    assert gate.judge([found], 0.05).sees_from == pytest.approx(0.05)


def test_more_intervals_are_wider_each():
    """All of them together hold 95 %."""
    few, many = (
        one(run("a", slower(noise=noisy(9)), STAR[:n]), run("b", slower(noise=noisy(10)), STAR[:n]))
        for n in (2, 6)
    )
    assert few.confidence < many.confidence
    assert many.confidence == pytest.approx(1 - 0.05 / 12)  # 6 times, 5 pairs, all together


def test_a_round_is_judged_by_the_median_of_its_block():
    """Per sample, and both sides of a noise floor are one case."""
    found = drift.block_times(measurement(case(), case(), lambda *_: 2e-3, blocks=3), set())
    assert found == {case(): [pytest.approx(math.log(2e-3))] * 3}


@pytest.mark.parametrize("comparisons", [STAR, [(model, MODELS[5]) for model in MODELS]])
def test_in_a_simulation_intervals_hold_the_truth_and_no_wolf_is_cried(comparisons):
    """Comparisons drift and so does the hour; one case is 40 % slower, which is found.

    With the same reference in both runs, or another.
    """
    rng = random.Random(12)
    held = cried = found = 0
    tries = 300
    truth = {model.variant: 1.0 for model in MODELS} | {"model1": 1 / 1.4}
    for attempt in range(tries):
        sides = [
            slower(
                *variants,
                by=1.4,
                noise=noisy(2 * attempt + side, 0.02, 0.025, hour=rng.gauss(0, 0.03)),
            )
            for side, variants in enumerate(((), ("model1",)))
        ]
        comparison = one(run("a", sides[0]), run("b", sides[1], comparisons))
        rows = {row.case.variant: row for row in comparison.cases}
        held += all(row.time.low <= truth[name] <= row.time.high for name, row in rows.items())
        found += rows.pop("model1").verdict == "slower"
        cried += any(row.verdict in ("faster", "slower") for row in rows.values())
    assert held >= 0.95 * tries
    assert cried <= 0.05 * tries
    assert found >= 0.9 * tries


def saved(folder, name, seconds=lambda _: ALL_SAME, failures=None, **changes):
    models = MODELS[:3]
    runner = runner_of(folder / "runs" / name, FakeLauncher(seconds, failures), **changes)
    for model in models:
        runner.measure(model, models[0])
    runner.save()
    runner.close()


def slow_model1(a_case):
    return ALL_SAME * (1.1 if a_case.variant == "model1" else 1.0)


def command(folder, *arguments):
    return main(["compare", *arguments, "--output", str(folder)])


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    """No line is broken."""
    monkeypatch.setenv("COLUMNS", "400")


def test_the_command_says_what_differs_before_any_number_and_ends_with_0(tmp_path, capsys):
    """From the runs' files."""
    saved(tmp_path, "a")
    saved(tmp_path, "b", slow_model1, machine=dataclasses.replace(MACHINE, python="3.14"), steps=3)
    assert command(tmp_path, "a", "b") == 0
    shown = capsys.readouterr().out
    assert shown.index("python 3.11 → 3.14; steps per round chosen → 3") < shown.index("0.91×")
    assert "slower" in shown


def test_the_gate_ends_with_1_and_names_what_crossed_it(tmp_path, capsys):
    """And the rule."""
    saved(tmp_path, "a")
    saved(tmp_path, "b", slow_model1)
    assert command(tmp_path, "a", "b", "--fail-if-slower", "5%") == 1
    shown = capsys.readouterr().out
    assert "if its whole interval lies below 0.952×" in shown
    assert "b: model1 256: 0.91× [0.91, 0.91]" in shown
    assert command(tmp_path, "a", "b", "--fail-if-slower", "15%") == 0
    assert "passed: none of 4 is slower" in capsys.readouterr().out


def test_a_newly_failed_case_ends_with_1_under_the_gate_alone(tmp_path, capsys):
    """Without a threshold it is named."""
    saved(tmp_path, "a")
    saved(tmp_path, "b", failures={MODELS[1].id: ("oom", "memory ran out", "")})
    assert command(tmp_path, "a", "b") == 0
    assert "failed in b, measured in a: model1 256 against baseline 256" in capsys.readouterr().out
    assert command(tmp_path, "a", "b", "--fail-if-slower", "5") == 1


def test_json_is_one_object_with_all_numbers_and_nothing_else(tmp_path, capsys):
    """Its estimates can be read back."""
    saved(tmp_path, "a")
    saved(tmp_path, "b", slow_model1)
    assert command(tmp_path, "a", "b", "--json", "--fail-if-slower", "5") == 1
    shown = capsys.readouterr()
    whole = json.loads(shown.out)
    assert shown.err == ""
    assert (whole["schema"], whole["margin"], whole["reference"]) == (1, 0.02, "a")
    (found,) = whole["comparisons"]
    slowest = found["cases"][0]
    assert slowest["name"] == "model1 256"
    assert slowest["time"]["value"] == pytest.approx(1 / 1.1)
    assert slowest["verdict"] == "slower"
    assert from_json(Case, slowest["case"]) == MODELS[1]
    assert [crossed["name"] for crossed in whole["gate"]["crossed"]] == ["model1 256"]
    assert "NaN" not in shown.out


def test_several_runs_have_a_column_each_against_the_reference(tmp_path, capsys):
    """The first, or the one that is named, wherever it stands."""
    saved(tmp_path, "a")
    saved(tmp_path, "b", slow_model1)
    saved(tmp_path, "c")
    assert command(tmp_path, "a", "b", "c") == 0
    by_default = capsys.readouterr().out
    (row,) = [line for line in by_default.splitlines() if line.startswith(" model1")]
    assert row.split()[2:5] == ["0.91×", "[0.91,", "0.91]"]
    assert row.split()[5:8] == ["1.00×", "[1.00,", "1.00]"]
    assert command(tmp_path, "a", "b", "c", "--reference", "b") == 0
    assert "Reference: b" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "takes two runs or more"),
        (["a", "--reference", "a"], "takes two runs or more"),
        (["a", "z"], "no run begins with 'z'"),
        (["a", "b", "--fail-if-slower", "0.05"], "write 0.05% or 5%"),
        (["a", "q", "--fail-if-slower", "5%"], "measure both runs at default effort"),
        (["a", "v"], f"protocol version {PROTOCOL_VERSION} and v by 99"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, capsys, arguments, message):
    """On stderr."""
    for name, changes in {"a": {}, "b": {}, "q": {"blocks": 2}, "v": {"version": 99}}.items():
        saved(tmp_path, name, **changes)
    assert command(tmp_path, *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_the_console_shows_the_slowest_of_very_many_and_says_where_the_rest_is(tmp_path, capsys):
    """All of them are in the object."""
    models = [case(f"model{i}") for i in range(60)]
    for name, factor in (("a", 0.0), ("b", 0.01)):

        def seconds(a_case, *_, factor=factor):
            return ALL_SAME * (1 + factor * int(a_case.variant.removeprefix("model")))

        a_run = run(name, seconds, [(model, models[0]) for model in models], blocks=3)
        (tmp_path / "runs" / name).mkdir(parents=True)
        path = tmp_path / "runs" / name / "run.json"
        path.write_text(json.dumps(to_json(a_run)))
    assert command(tmp_path, "a", "b") == 0
    shown = capsys.readouterr().out
    assert "20 more cases" in shown
    assert " model59 256" in shown
    assert " model1 256 " not in shown
    command(tmp_path, "a", "b", "--json")
    assert len(json.loads(capsys.readouterr().out)["comparisons"][0]["cases"]) == 60


def test_a_gate_of_memory_judges_the_peaks_of_workers(tmp_path, capsys):
    """The same in both runs is excluded; the JSON document has it."""
    for name in "ab":
        saved(tmp_path, name)
    assert command(tmp_path, "a", "b", "--fail-if-more-memory", "10%", "--json") == 0
    found = json.loads(capsys.readouterr().out)["more_memory"]
    assert not found["crossed"]
    assert {one["answer"] for one in found["judgements"]} == {"excluded"}
