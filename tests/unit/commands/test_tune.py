"""`harness tune` and the suite of levers, over fake workers."""

import dataclasses
import json
import types

import pytest
from fakes import FakeLauncher, runner_of

from harness.commands.parser import main
from harness.commands.tune import Tuner
from harness.records import Case, folders
from harness.workloads import levers

SUITE = """
    import pytest

    pytestmark = pytest.mark.matrix(variants=["baseline"], batch_sizes=[256])

    def test_lever(tune, lever, variant, batch_size, device):
        tune.alone(lever, variant, batch_size=batch_size, device=device)

    def test_stack(tune, variant, batch_size, device):
        tune.stack(variant, batch_size=batch_size, device=device)
"""
QUICK = (
    "--train-effort",
    "quick",
    "--train-dataset",
    "synthetic",
    "--train-threads",
    "1",
    "--train-devices",
    "cpu",
    "-p",
    "no:cacheprovider",
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, launcher, no_charts):
    """Low precision halves the time, eight steps an execution take a tenth off."""

    def seconds(case):
        return (
            1e-3
            * (0.5 if case.precision != "float32" else 1)
            * (0.9 if case.steps_per_execution == 8 else 1)
        )

    launcher.sample_seconds = seconds
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(levers, "_library", lambda names: None)
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")


def tuned(*arguments):
    code = main(["tune", *arguments, "--threads", "1", "--output", "out", "--effort", "quick"])
    (folder,) = folders.Path("out/runs").iterdir()
    return code, folders.read(folder), folder


def test_tune_ends_with_the_settings_to_paste(capsys):
    """And keeps them as a file; what cannot be tried is in the table with its reason."""
    code, run, folder = tuned("baseline", "--batch-size", "64", "--devices", "cpu")
    assert code == 0
    (tuning,) = run.tunings
    assert tuning.plain.batch_size == 64
    assert tuning.stack == ("precision=mixed_bfloat16", "steps_per_execution=8")
    shown = capsys.readouterr().out
    assert "Recommended settings, to paste:" in shown
    assert 'keras.config.set_dtype_policy("mixed_bfloat16")' in shown
    assert "model.compile(..., steps_per_execution=8)" in shown
    assert "# no interval: fewer than three blocks" in shown
    assert "malloc tcmalloc: tcmalloc is not installed" in shown.replace("\n", " ")
    assert "2.22×" in (folder / "recommended_settings.py").read_text()
    assert {a.lever for a in tuning.attempts} == set(levers.tried("tensorflow"))


def test_a_setting_that_is_not_available_is_never_stacked(tmp_path):
    """Not even where the plain case beside itself seems faster, as at quick effort it may."""
    plain = Case("baseline", "synthetic", 256)
    runner = runner_of(tmp_path / "run", FakeLauncher(), blocks=1, effort="quick")
    tuner = Tuner(types.SimpleNamespace(runner=runner, expect=lambda count: None), plain)
    assert "only on GPUs" in tuner.alone("tf32=off")
    noise = runner.measure(plain, plain)
    rounds = [dataclasses.replace(r, seconds=(r.role != "case") + 1.0) for r in noise.rounds]
    runner.keep(dataclasses.replace(noise, rounds=tuple(rounds)))
    assert tuner.stack() is None


def test_levers_of_ones_own_are_tried_alone(capsys):
    """`--json` has the code, too."""
    code, run, _ = tuned(
        "baseline", "--levers", "jit=on,precision=mixed_bfloat16", "--devices", "cpu", "--json"
    )
    assert code == 0
    document = json.loads(capsys.readouterr().out)
    assert "mixed_bfloat16" in document["settings"]
    rows = [row["lever"] for row in document["tables"]["levers"]]
    assert rows == ["jit", "precision", "precision=mixed_bfloat16"]
    assert [a.lever for a in run.tunings[0].attempts] == ["jit=on", "precision=mixed_bfloat16"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["baseline", "--levers", "jitt=on"], "no lever 'jitt'; did you mean jit?"),
        (["baselin"], "did you mean baseline"),
        (["baseline", "--batch-size", "none"], "'none' is not a whole number"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, capsys):
    """Exit code 2."""
    assert main(["tune", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_model_that_cannot_be_trained_is_one_failure(launcher, tmp_path, capsys):
    """Not one a lever."""
    (tmp_path / "mine.py").write_text("def build():\n    return None\n")
    launcher.untrainable["mine.py:build"] = ("error", "it does not build", "")
    code, run, _ = tuned("mine.py:build", "--devices", "cpu")
    assert code == 1
    assert [failure.message for failure in run.outcomes] == ["it does not build"]


@pytest.fixture
def go(pytester):
    pytester.makepyfile(test_mine=SUITE)
    return lambda *arguments: pytester.runpytest_inprocess(*QUICK, *arguments)


def test_every_lever_is_a_test_and_the_stack_the_last(go, pytester):
    """What cannot be moved is a skip with its reason before anything is measured, and a row."""
    chosen = "precision=mixed_bfloat16,steps_per_execution=8,tf32=off"
    result = go("--train-levers", chosen, "-v", "--benchmark-autosave")
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "skipped: 1 test (settings not available on this machine; see*",
            "*test_lever[[]baseline-batch256-cpu-precision=mixed_bfloat16[]]*",
            "*Settings: speedup over*",
            "tf32 off: only on GPUs",
            "Recommended settings*",
        ]
    )
    (folder,) = (pytester.path / "results" / "runs").glob("*")
    (tuning,) = json.loads((folder / "run.json").read_text())["tunings"]
    assert [a["lever"] for a in tuning["attempts"] if a["reason"]] == ["tf32=off"]


def test_a_lever_that_does_not_exist_is_a_usage_error(go):
    """Before anything is collected."""
    result = go("--train-levers", "jitt=on")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "did you mean jit?" in result.stderr.str() + result.stdout.str()


def test_without_a_faster_lever_the_stack_is_a_skip(go):
    """There is nothing to stack."""
    result = go("--train-levers", "jit=on", "-rs", "--benchmark-autosave")
    result.assert_outcomes(passed=1, skipped=1)
    assert "Saved benchmark data" in result.stderr.str(), "a skip must not lose the others"
