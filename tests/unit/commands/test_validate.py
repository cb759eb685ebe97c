"""The validation's own judgment: on workers whose truth is exact."""

import contextlib
import dataclasses
import importlib
import json
import math
import random

import pytest
from fakes import FakeLauncher, runner_of

from harness.analyze import stats
from harness.commands.parser import main
from harness.commands.validate import (
    against_keras,
    arithmetic,
    changed_models,
    judgements,
    readings,
    run,
    truths,
)
from harness.commands.validate import (
    claims as checks,
)
from harness.commands.validate.truths import (
    DisturbedLauncher,
    SlowedLauncher,
    Trial,
    is_disturbed,
)
from harness.records import Case, Estimate

SHORT = Case("improved", "synthetic", 16)


def measured(folder, wanted, launcher=None, **changes):
    """Measure trials with fake workers, of which some are slowed."""
    slowed = SlowedLauncher(launcher or FakeLauncher(), wanted)
    runner = runner_of(folder, slowed, **{"steps": 100, **changes})
    found = [(trial, runner.measure(trial.case, trial.reference)) for trial in wanted]
    runner.close()
    return found


@pytest.mark.parametrize("slowdown", [0.02, 0.05, 0.10, 0.25])
def test_a_known_slowdown_is_exact_where_time_is(tmp_path, slowdown):
    """The worker claims 100 steps and runs as many more."""
    ((trial, m),) = measured(tmp_path, truths.slowed(SHORT, {slowdown: 1}))
    assert stats.speedup(m).value == pytest.approx(trial.truth)
    assert {r.steps for r in m.rounds} == {100}


def test_slowdowns_take_turns_and_every_trial_has_a_name():
    """No share has an hour of its own."""
    wanted = truths.slowed(SHORT, {0.05: 2, 0.10: 1})
    assert [trial.slowdown for trial in wanted] == [0.05, 0.10, 0.05]
    assert len({trial.key for trial in wanted}) == 3


@pytest.mark.parametrize("effort", truths.EFFORTS.values())
def test_claimed_steps_make_every_slowdown_whole(effort):
    """Else the truth would be another."""
    for share in [*effort.trials["slowdowns"], *effort.trials["disturbed"]]:
        assert math.isclose(round(truths.CLAIMED_STEPS * share), truths.CLAIMED_STEPS * share)


def noisy(rng, spread):
    """A launcher whose workers differ, each by its own factor, and not between rounds."""

    class Launcher(FakeLauncher):
        def start(self, case, timeout):
            factor = rng.lognormvariate(0.0, spread)
            worker = super().start(case, timeout)
            ask = worker.ask

            def told(command, **arguments):
                answer = ask(command, **arguments)
                if command == "round":
                    answer["seconds"] *= factor * rng.lognormvariate(0.0, spread / 10)
                return answer

            worker.ask = told
            return worker

    return Launcher()


def test_the_protocol_holds_where_rounds_as_samples_do_not(tmp_path):
    """Workers that differ more than their rounds: what the validation is there to show."""
    found = measured(
        tmp_path,
        truths.slowed(SHORT, {0.0: 40}),
        noisy(random.Random(3), 0.02),
        blocks=6,
        max_pairs=8,
    )
    protocol, called, pooled, one_by_one = judgements.noise(found)
    assert (protocol.n, protocol.verdict, called.verdict) == (40, "holds", "holds")
    hits = [int(check.found.split()[0]) for check in (pooled, one_by_one)]
    assert hits[0] < 0.9 * pooled.n
    assert hits[1] < 0.6 * one_by_one.n
    assert {pooled.verdict, one_by_one.verdict} == {"for comparison"}


def test_order_is_judged_by_the_two_workers_of_the_reference(tmp_path):
    """A case that is slower is no slower place."""
    found = measured(
        tmp_path, truths.slowed(SHORT, {0.25: 3}), blocks=4, min_pairs=12, max_pairs=12
    )
    checks_ = list(judgements.order(found))
    assert [check.verdict for check in checks_] == ["holds", "holds"]
    assert [check.n for check in checks_] == [12, 12]
    assert all(check.found.startswith("1.000") for check in checks_)


def test_slowdowns_are_judged_by_their_truth(tmp_path):
    """Exact times show each of them; one of 2 % claims nothing."""
    found = measured(tmp_path, truths.slowed(SHORT, {0.02: 1, 0.10: 2}))
    verdicts = {(c.subject, c.claim): c.verdict for c in judgements.slowdowns(found)}
    assert verdicts["slower by 2 %", "interval below 1"] == "for comparison"
    assert verdicts["slower by 10 %", "called slower in ≥ 80 %"] == "holds"
    assert verdicts["all known slowdowns", "interval holds the true ratio in ≥ 90 %"] == "holds"


def test_a_competitor_is_busy_in_every_third_block_and_ends(tmp_path):
    """Also of a comparison that is gone on with in its middle."""
    wanted = truths.slowed(SHORT, {0.0: 1})
    (trial,) = wanted
    seen = []
    disturbed = DisturbedLauncher(FakeLauncher(), wanted, {trial.key: [None] * 3})
    with contextlib.closing(disturbed) as launcher:
        for _ in range(3, 9):
            for case in (trial.case, trial.reference, trial.reference):
                launcher.start(case, 1.0)
                seen.append(launcher._competitor is not None)
        competitor = launcher._competitor
    assert [is_disturbed(block) for block in range(3, 9) for _ in range(3)] == seen
    assert competitor is None or competitor.poll() is not None


def test_the_caution_of_a_competitor_is_judged_block_by_block(tmp_path):
    """One that is told in each third block, and one that is told everywhere."""

    def with_others(m, busy):
        rounds = tuple(
            dataclasses.replace(r, other_cpu_seconds=r.seconds if busy(r.block) else 0.0)
            for r in m.rounds
        )
        return dataclasses.replace(m, rounds=rounds)

    found = measured(tmp_path, truths.slowed(SHORT, {0.0: 2}), blocks=6)
    as_it_is = [(t, with_others(m, is_disturbed)) for t, m in found]
    told = {check.subject: check for check in judgements.disturbed(as_it_is)}
    assert [c.verdict for c in told.values()] == ["holds"] * len(told)
    assert (told["a disturbed block"].n, told["a quiet block"].n) == (4, 8)
    everywhere = [(t, with_others(m, lambda _: True)) for t, m in found]
    told = {check.subject: check for check in judgements.disturbed(everywhere)}
    assert told["a disturbed block"].verdict == "holds"
    assert told["a quiet block"].verdict == "falls short"


@pytest.mark.parametrize(
    ("hits", "n", "verdict"),
    [
        (60, 60, "holds"),
        (56, 60, "holds"),
        (53, 60, "not shown"),
        (40, 60, "falls short"),
        (0, 1, "not shown"),
        (0, 0, "not shown"),
    ],
)
def test_a_share_falls_short_only_where_chance_would_be_rare(hits, n, verdict):
    """Of 93 %."""
    assert checks.share("", "", [True] * hits + [False] * (n - hits), 0.93).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.995, 1.005, "holds"),
        (0.98, 1.03, "not shown"),
        (1.02, 1.05, "falls short"),
        (None, None, "not shown"),
    ],
)
def test_a_ratio_is_judged_by_its_interval(low, high, verdict):
    """Against 1 %."""
    assert checks.ratio("", Estimate(1.0, low, high, 6), 0.01).verdict == verdict


def test_the_arithmetic_holds(tmp_path):
    """Simulated intervals, and the identities of a run."""
    short = measured(tmp_path, truths.slowed(SHORT, {0.0: 2}))
    assert len(short) == 2
    runner = runner_of(tmp_path, FakeLauncher(), steps=100)
    found = [*arithmetic.simulated(2000), *arithmetic.of_run(runner.run())]
    runner.close()
    assert [check.verdict for check in found if check.claim] == ["holds"] * 4


def test_ratios_to_plain_keras_are_judged():
    """A step within 2 %, a `fit` within 3 %."""
    found = [{"step time": 0.001 * i, "`fit` over a part": 0.2} for i in range(4)]
    assert [check.verdict for check in against_keras.judged(found)] == ["holds", "falls short"]


@pytest.fixture
def fake_workers(monkeypatch):
    """A validation whose comparisons take no time."""
    launcher = FakeLauncher()
    monkeypatch.setattr(run, "Launcher", lambda: contextlib.nullcontext(launcher))
    monkeypatch.setattr(run.datasets, "resolve", lambda name: "synthetic")
    monkeypatch.setattr(run, "usable_cpus", lambda: [0])
    brief = dataclasses.replace(
        truths.EFFORTS["quick"],
        trials={"noise": {0.0: 2}, "slowdowns": {0.25: 1}, "disturbed": {}},
        simulated=500,
        protocol=dataclasses.replace(truths.EFFORTS["quick"].protocol, max_pairs=4),
    )
    monkeypatch.setitem(truths.EFFORTS, "quick", brief)
    return launcher


def test_a_validation_shows_its_parts_and_keeps_them(tmp_path, capsys, fake_workers):
    """And ends with what it comes to."""
    wanted = ["--only", "noise,slowdowns,arithmetic", "--output", str(tmp_path)]
    status = main(["validate", *wanted])
    shown = capsys.readouterr().out
    for words in ("A case vs itself", "Known slowdowns", "claims hold"):
        assert words in shown
    (folder,) = (tmp_path / "validation").iterdir()
    kept = json.loads((folder / run.NAME).read_text())["parts"]
    assert list(kept) == ["noise", "slowdowns", "arithmetic"]
    verdicts = [check["verdict"] for checks in kept.values() for check in checks]
    assert status == int("falls short" in verdicts)


def test_a_validation_is_gone_on_with(tmp_path, capsys, fake_workers):
    """What is measured already is not measured again; other parts stay."""
    main(["validate", "--only", "arithmetic", "--output", str(tmp_path)])
    main(["validate", "--only", "noise", "--resume", "--json", "--output", str(tmp_path)])
    rounds = fake_workers.rounds
    main(["validate", "--only", "noise", "--resume", "--json", "--output", str(tmp_path)])
    assert rounds == fake_workers.rounds
    (folder,) = (tmp_path / "validation").iterdir()
    assert list(json.loads((folder / run.NAME).read_text())["parts"]) == ["noise", "arithmetic"]


def test_a_validation_goes_on_with_its_own_data(tmp_path, monkeypatch, capsys, fake_workers):
    """Though another dataset would be chosen by now: else all would be measured again."""
    main(["validate", "--only", "noise", "--json", "--output", str(tmp_path)])
    chosen = {"auto": "digits", "synthetic": "synthetic"}
    monkeypatch.setattr(run.datasets, "resolve", chosen.__getitem__)
    rounds = fake_workers.rounds
    main(["validate", "--only", "noise", "--resume", "--json", "--output", str(tmp_path)])
    assert rounds == fake_workers.rounds


def test_copies_of_layers_are_held_against_what_their_rows_foretell(tmp_path, capsys, fake_workers):
    """The fake convolution takes 60 % of a step, the dense layer 20 %, the optimizer 10 %."""
    changed = {"conv2d_x2": 1.61, "dense_x4": 2.5}

    def sample_seconds(case):
        _, _, change = case.variant.partition(":baseline_")
        return 1e-3 * changed.get(change, 1.0)

    fake_workers.sample_seconds = sample_seconds
    wanted = ["--only", "layers", "--backends", "tensorflow"]
    assert main(["validate", *wanted, "--json", "--output", str(tmp_path)]) == 0
    first, second, enough = json.loads(capsys.readouterr().out)["layers"]
    assert first["subject"] == "tensorflow, baseline: conv2d 2 times"
    shown = "step +61.0 % [+61.0, +61.0], foretold +61.0 % [+61.0, +61.0]"
    assert first["found"] == f"{shown}: within 15 % of the change"
    assert second["subject"] == "tensorflow, baseline: dense 4 times"
    assert "foretold +87.0 %" in second["found"]
    assert second["found"].endswith("differs, as fusion or overlap can make it")
    assert {first["verdict"], second["verdict"]} == {"for comparison"}
    assert (enough["found"], enough["verdict"]) == ("1 of 2", "not shown")
    (folder,) = (tmp_path / "validation").iterdir()
    assert (folder / "layers.png").exists()
    assert (folder / "layers" / "run.json").exists()


def test_a_changed_model_has_a_name_that_a_worker_finds():
    """And no other name is one."""
    module, _, function = changed_models.variant("improved", "conv2d_1", 2).partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    with pytest.raises(AttributeError):
        changed_models.unknown_conv2d_x2  # noqa: B018


def test_what_fails_is_a_check_that_falls_short(tmp_path, capsys, fake_workers):
    """With its reason; the exit code is 1."""
    variant, size = truths.USUAL
    for trial in truths.slowed(Case(variant, "synthetic", size), {0.0: 2}):
        for case in (trial.case, trial.reference):
            fake_workers.failures[case.id] = ("oom", "memory ran out", "")
    assert main(["validate", "--only", "noise", "--json", "--output", str(tmp_path)]) == 1
    found = json.loads(capsys.readouterr().out)["noise"][0]
    assert (found["claim"], found["verdict"]) == ("every comparison is measured", "falls short")
    assert found["found"].endswith("memory ran out")


def test_a_part_whose_worker_fails_is_told_and_the_next_is_tried(tmp_path, capsys, fake_workers):
    """Here the first known load cannot be built."""
    case = readings._known("ballast")
    fake_workers.failures[case.id] = ("error", "no room for ballast", "")
    assert main(["validate", "--only", "readings,arithmetic", "--output", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "no room for ballast" in " ".join(shown.split())
    assert "Arithmetic" in shown


def test_a_damaged_validation_is_refused_in_one_line(tmp_path, capsys, fake_workers):
    """It is not written over."""
    main(["validate", "--only", "arithmetic", "--output", str(tmp_path)])
    (folder,) = (tmp_path / "validation").iterdir()
    (folder / run.NAME).write_text('{"parts": [')
    capsys.readouterr()
    assert main(["validate", "--resume", "--output", str(tmp_path)]) == 2
    assert "is damaged" in capsys.readouterr().err
    assert (folder / run.NAME).read_text() == '{"parts": ['


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nois"], "--only: no 'nois'; did you mean noise?"),
        (["--effort", "default"], "--effort: no 'default'; known: quick, thorough"),
        (["--backends", "torc"], "--backends: no 'torc'; did you mean torch?"),
        (["--resume", "2020"], "no run begins with '2020'"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path, capsys, arguments, message):
    """With exit code 2."""
    assert main(["validate", *arguments, "--output", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_a_trial_knows_its_truth():
    """One of two equal cases that takes a quarter longer is 0.8 times as fast."""
    assert Trial(SHORT, SHORT, 0.25).truth == 0.8


def test_progress_counts_the_comparisons_of_the_parts_that_are_tried():
    """Readings and Keras are none; layers are copied on each backend."""
    backends = ["tensorflow", "torch"]
    thorough = truths.EFFORTS["thorough"]
    assert thorough.comparisons(["noise", "readings"], backends) == 60
    assert thorough.comparisons(run.PARTS, backends) == 60 + 42 + 15 + 2 * 2 * 6
