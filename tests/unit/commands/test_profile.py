"""Where the time of a step goes: the command, and the option of runs, over fake workers."""

import csv
import dataclasses
import json

import pytest
from fakes import FakeGpu

from harness.analyze.analysis import Analysis
from harness.analyze.explain import layers, memory
from harness.commands import measured
from harness.commands.parser import main
from harness.measure import profiling
from harness.measure.machine import visible_gpus
from harness.measure.machine.visible_gpus import Seen
from harness.records import Measurement, folders
from harness.tables.explain.memory import MEMORY

MODEL = "def build():\n    return 1\n"


@pytest.fixture
def go(launcher, no_charts, tmp_path, monkeypatch, capsys):
    """Run a command in a folder with a model: exit code, what is shown, the folder of the run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text(MODEL)

    def of(*arguments):
        code = main([*arguments, "--threads", "1", "--output", "out"])
        shown = capsys.readouterr()
        runs = sorted((tmp_path / "out" / "runs").glob("*"))
        return code, shown, runs[-1] if runs else None

    return of


def test_a_profile_has_a_row_per_layer_and_adds_up_to_the_step(go):
    """What is no operation is a row of its own."""
    code, shown, folder = go("profile", "mine.py:build", "--batch-size", "32")
    assert code == 0
    assert "tracing mine.py:build" in shown.err
    (profile,) = folders.read(folder).profiles
    assert len(profile.workers) == 3
    assert (folder / profile.trace).read_bytes() == b"trace"
    rows = {row.name: row for row in layers.times(profile)}
    assert [*rows] == ["conv2d", "dense", "optimizer", "loss and metrics", "input", "unattributed"]
    assert sum(row.share.value for row in rows.values()) == pytest.approx(1)
    step = profile.workers[0].step_seconds
    assert rows["conv2d"].forward == pytest.approx(0.2 * step)
    assert rows["conv2d"].backward == pytest.approx(0.4 * step)
    assert rows["unattributed"].share.value == pytest.approx(0.08)
    assert rows["unattributed"].operations[0] == ("between operations", pytest.approx(0.625))
    # Three products of 5 000 multiply-accumulates but for the gradient of the first input.
    assert rows["conv2d"].roof.flop == 2 * 2 * 5000 * 32
    assert rows["dense"].roof.flop == 3 * 2 * 1000 * 32
    with (folder / "tables" / "layers.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert sum(float(row["total_us"]) for row in table) == pytest.approx(1e6 * step)
    assert (
        "conv2d takes 60 % of a step; dense holds 90 % of the parameters and takes 20 %"
        in " ".join(shown.out.split())
    )


def test_a_run_profiles_what_it_measured(go):
    """Cases and references, once each."""
    code, _, folder = go(
        "run", "mine.py:build", "--batch-sizes", "32,64", "--effort", "quick", "--profile"
    )
    assert code == 0
    run = folders.read(folder)
    assert sorted(one.case.batch_size for one in run.profiles) == [32, 64]
    assert {len(one.workers) for one in run.profiles} == {1}
    assert all(row.share.low is None for one in run.profiles for row in layers.times(one))


def test_measured_workers_are_asked_the_same_with_a_profile(go, launcher):
    """All of them have ended before the first one that is traced: no round can change."""
    command = ("run", "mine.py:build", "--batch-sizes", "32,64")
    go(*command)
    plain, launcher.asked = launcher.asked, []
    go(*command, "--profile")
    assert launcher.asked[: len(plain)] == plain
    assert "profile" in launcher.asked[len(plain) :]
    assert "profile" not in plain


def test_two_models_are_compared_layer_by_layer(go, launcher):
    """The differences add up to that of the steps."""
    launcher.sample_seconds = lambda case: 1e-3 if case.variant == "baseline" else 4e-4
    code, shown, folder = go("profile", "baseline", "improved", "--batch-size", "32")
    assert code == 0
    with (folder / "tables" / "layer_changes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(float(row["difference_us"]) for row in rows) == pytest.approx(-600)
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1)
    assert (rows[0]["layer"], rows[0]["reference_layer"]) == ("conv2d", "conv2d")
    assert float(rows[0]["share"]) == pytest.approx(0.6)
    text = " ".join(shown.out.split())
    assert "improved 32 takes 600 µs per sample less than baseline 32: conv2d is 60 %" in text


def test_a_run_is_not_profiled_unasked(go):
    """And has no such table."""
    _, _, folder = go("run", "mine.py:build", "--batch-sizes", "32", "--effort", "quick")
    assert folders.read(folder).profiles == ()
    assert not (folder / "tables" / "layers.csv").exists()


def test_a_profile_is_kept_by_a_resumed_run(go, launcher):
    """It is not made again."""
    _, _, folder = go("profile", "mine.py:build", "--batch-size", "32")
    launcher.asked.clear()
    code, _, _ = go("profile", "mine.py:build", "--batch-size", "32", "--resume", folder.name)
    assert code == 0
    assert "profile" not in launcher.asked


def test_a_model_that_cannot_be_traced_is_a_failed_row(go, launcher):
    """The others are traced."""
    case = "mine.py:build-digits-b32-tensorflow-cpu-t1"
    launcher.failures = {case: ("error", "ValueError: no", "")}
    code, shown, folder = go("profile", "mine.py:build", "baseline", "--batch-size", "32")
    assert code == 1
    assert "ValueError: no" in shown.out
    assert [one.case.variant for one in folders.read(folder).profiles] == ["baseline"]


def test_a_trace_that_fails_costs_no_measurement(go, launcher):
    """Also where the case is compared with itself; the command fails, with a line."""
    launcher.untraceable = {"mine.py:build"}
    code, shown, folder = go(
        "run", "mine.py:build", "--batch-sizes", "32", "--effort", "quick", "--profile"
    )
    assert code == 1
    assert "could not be traced: error: ValueError: no trace" in shown.err
    (outcome,) = folders.read(folder).outcomes
    assert isinstance(outcome, Measurement)


def test_layers_may_have_any_name(go, launcher):
    """Also one name, and that of a part of the step."""
    launcher.layer_names = ("input", "input")
    code, _, folder = go("profile", "baseline", "improved", "--batch-size", "32")
    assert code == 0
    for profile in folders.read(folder).profiles:
        step = profile.workers[0].step_seconds
        found = layers.seconds_by_worker(profile)
        assert sum(its[0] for its in found.values()) == pytest.approx(step)
    with (folder / "tables" / "layer_changes.csv").open(encoding="utf-8") as file:
        kept = [row for row in csv.DictReader(file) if row["layer"] == "input"]
    assert len(kept) == 3


def test_a_gpu_that_is_not_there_is_one_line(go):
    """Before anything is started."""
    code, shown, _ = go("profile", "mine.py:build", "--devices", "gpu")
    assert code == 2
    assert shown.err.count("\n") == 1


def test_a_gpu_waits_for_the_rest_of_a_step(go, monkeypatch):
    """Kernels take their own time of a step that is not traced; the memory table is for CPUs."""
    monkeypatch.setattr(measured, "open_gpu", FakeGpu)
    monkeypatch.setattr(visible_gpus, "of_framework", lambda backend, device: Seen(["Fake GPU"]))
    code, shown, folder = go("profile", "mine.py:build", "--batch-size", "32")
    assert code == 0
    on_cpu, on_gpu = folders.read(folder).profiles
    assert (on_cpu.case.device, on_gpu.case.device) == ("cpu", "gpu")
    assert "GPU idle" not in {row.name for row in layers.times(on_cpu)}
    rows = {row.name: row for row in layers.times(on_gpu)}
    assert sum(row.share.value for row in rows.values()) == pytest.approx(1)
    assert rows["GPU idle"].share.value == pytest.approx(0.5)
    assert rows["conv2d"].share.value == pytest.approx(0.5 * 0.6 / 0.95)
    assert rows["unattributed"].operations == (("AddN", 1.0),)
    assert memory.memory(on_gpu) is None
    text = " ".join(shown.out.split())
    assert "the GPU is idle for 50 % of a step; conv2d takes 32 % of a step" in text
    assert "GPU: times of kernels and copies in a trace" in text


def test_kernels_that_take_longer_than_a_step_are_all_of_the_step(go):
    """Where tracing has slowed them; the GPU is then never idle."""
    _, _, folder = go("profile", "mine.py:build", "--batch-size", "32")
    (profile,) = folders.read(folder).profiles
    on_gpu = dataclasses.replace(profile.case, device="gpu")
    rows = {row.name: row for row in layers.times(dataclasses.replace(profile, case=on_gpu))}
    assert rows["GPU idle"].share.value == pytest.approx(0)
    assert rows["conv2d"].share.value == pytest.approx(0.6 / 0.95)


def test_json_has_the_table(go):
    """As the CSV file has it."""
    _, shown, _ = go("profile", "mine.py:build", "--batch-size", "32", "--json")
    rows = json.loads(shown.out)["tables"]["layers"]
    assert [row["layer"] for row in rows][:2] == ["conv2d", "dense"]


def test_the_plugin_profiles_what_it_measured(pytester, launcher, no_charts, monkeypatch):
    """After the last test."""
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    pytester.makepyfile(
        mine=MODEL, test_it="def test_it(train):\n    train('mine.py:build', batch_size=32)\n"
    )
    done = pytester.runpytest("--train-effort=quick", "--train-threads=1", "--train-profile")
    done.assert_outcomes(passed=1)
    (folder,) = pytester.path.glob("results/runs/*")
    assert len(folders.read(folder).profiles) == 1


def test_the_memory_of_a_step_is_divided_and_a_batch_is_foretold(go):
    """The parts add up to the peak that was measured; a larger batch tells what grows."""
    code, shown, folder = go("profile", "mine.py:build", "--batch-size", "32")
    assert code == 0
    (profile,) = folders.read(folder).profiles
    assert [one.batch_size for one in profile.peaks] == [32, 32, 32, 128]
    with (folder / "tables" / "memory.csv").open(encoding="utf-8") as file:
        rows = {row["part"]: row for row in csv.DictReader(file)}
    (peak,) = {row["peak_mib"] for row in rows.values()}
    assert sum(float(row["total_mib"]) for row in rows.values()) == pytest.approx(float(peak))
    assert float(rows["framework, imported"]["total_mib"]) == 100
    assert float(rows["conv2d"]["activations_mib"]) == pytest.approx(32 * 4 * 24 * 24 * 8 / 2**20)
    assert float(rows["conv2d"]["sample_kib"]) == pytest.approx(1024)
    assert "grows by 1024 KiB per sample" in " ".join(shown.out.split())


def test_a_limit_says_which_batch_would_fit(go):
    """A tenth of it stays free: 0.9 GiB less the peak without a batch, at 1 MiB per sample."""
    _, _, folder = go("profile", "mine.py:build", "--batch-size", "32", "--memory-limit", "1")
    (profile,) = folders.read(folder).profiles
    found = memory.memory(profile)
    assert found.largest_batch(32, 2**30) == int(32 + 0.9 * 1024 - found.peak / 2**20)
    assert found.largest_batch(32, 2**20) == 0
    assert found.peak_at(64, 32) == pytest.approx(found.peak + 32 * 2**20)
    with (folder / "tables" / "memory.csv").open(encoding="utf-8") as file:
        assert {row["limit_mib"] for row in csv.DictReader(file)} == {"1024.0"}


def test_a_layer_without_a_fixed_shape_is_named_and_the_rest_is_divided(go):
    """The peak is still the sum of all parts."""
    _, _, folder = go("profile", "mine.py:build", "--batch-size", "32")
    (profile,) = folders.read(folder).profiles
    first, second = profile.layers
    unknown = dataclasses.replace(first, activation_bytes_per_sample=None)
    found = memory.memory(dataclasses.replace(profile, layers=(unknown, second)))
    assert found.unknown == ("conv2d",)
    assert sum(part.total for part in found.parts) == pytest.approx(found.peak)
    assert memory.memory(dataclasses.replace(profile, peaks=())) is None


def test_a_container_has_less_memory_than_its_machine(go):
    """The batch that fits is the batch that fits into the container."""
    _, _, folder = go("profile", "mine.py:build", "--batch-size", "32")
    run = folders.read(folder)
    inside = dataclasses.replace(run.machine, memory_limit_bytes=2**30)
    rows = Analysis(dataclasses.replace(run, machine=inside)).rows(MEMORY)
    assert {row.limit_mib for row in rows} == {1024}


def test_a_smaller_batch_is_tried_where_a_larger_one_may_not_fit(go, monkeypatch):
    """The memory of the machine is not risked."""
    monkeypatch.setattr(profiling, "memory_available", lambda: 2**28)
    _, _, folder = go("profile", "mine.py:build", "--batch-size", "32")
    (profile,) = folders.read(folder).profiles
    assert [one.batch_size for one in profile.peaks] == [32, 32, 32, 8]
    assert memory.memory(profile).per_sample == pytest.approx(2**20)


def test_a_model_of_one_batch_size_has_its_peak_alone(go, launcher):
    """How the peak grows is then unknown, and no batch is foretold."""
    case = "mine.py:build-digits-b{}-tensorflow-cpu-t1"
    launcher.failures = {case.format(size): ("error", "no", "") for size in (8, 128)}
    code, shown, folder = go("profile", "mine.py:build", "--batch-size", "32")
    assert code == 0
    (profile,) = folders.read(folder).profiles
    found = memory.memory(profile)
    assert (found.per_sample, found.largest_batch(32, 2**30), found.peak_at(64, 32)) == (None,) * 3
    assert "the peak is" in shown.out
    assert "grows by" not in shown.out
