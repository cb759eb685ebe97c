"""The pytest plugin and what a machine has: GPUs, backends, skips with their reasons."""

import importlib.util

import pytest
from fakes import FakeGpu, FakeLauncher
from samples import QUICK, run_folders

from harness.commands.plugin import hooks
from harness.measure.machine import visible_gpus
from harness.measure.machine.visible_gpus import Seen
from harness.measure.workers import launcher as launchers

DEVICES = """
    import pytest

    def test_size(train, variant, device):
        train(variant, batch_size=64, device=device, reference={"batch_size": 32})

    @pytest.mark.matrix(devices=["gpu"])
    def test_device(train, variant, device):
        train(variant, batch_size=64, device=device, reference={"device": "cpu"})

    @pytest.mark.matrix(devices=["cpu"])
    def test_cpu(train, variant, device):
        train(variant, batch_size=64, device=device)
"""
BACKENDS = """
    def test_backend(train, variant, backend):
        train(variant, batch_size=64, backend=backend, reference={"backend": "tensorflow"})
"""


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that the framework sees, unless a test empties the list."""
    seen = ["Fake GPU"]
    monkeypatch.setattr(hooks, "open_gpu", FakeGpu)
    monkeypatch.setattr(visible_gpus, "of_framework", lambda backend, cuda_device: Seen(seen))
    return seen


@pytest.fixture
def run_devices(pytester, launcher, monkeypatch, no_charts):
    """Run a suite of a user that asks about devices."""
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    pytester.makepyfile(test_mine=DEVICES)
    options = ("--train-variants", "baseline", "-rs", "-v")
    return lambda *more: pytester.runpytest_inprocess(*QUICK, *options, *more)


def test_without_a_gpu_what_is_about_one_is_skipped_with_the_reason(run_devices, monkeypatch):
    """And is no part of the plan."""
    monkeypatch.setattr(hooks, "open_gpu", lambda: FakeGpu(name=None))
    result = run_devices()
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "training benchmark: 2 tests*",
            "skipped: 1 test (no GPU: fake)",
            "SKIPPED*no GPU: fake",
        ]
    )


def test_with_a_gpu_both_devices_are_measured(run_devices, gpu, launcher):
    """`auto` means both."""
    run_devices().assert_outcomes(passed=4)
    assert (
        launcher.most_running == 3
    )  # workers of three cases; quick effort has one of the reference


@pytest.mark.parametrize(
    ("devices", "passed", "reason"),
    [
        ("gpu", 2, "needs the CPU, which --train-devices leaves out"),
        ("cpu", 2, "needs the GPU, which --train-devices leaves out"),
    ],
)
def test_a_device_that_is_left_out_is_a_skip(run_devices, gpu, devices, passed, reason):
    """The user said so."""
    result = run_devices("--train-devices", devices)
    result.assert_outcomes(passed=passed, skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED*{reason}"])


def test_a_gpu_that_was_asked_for_and_is_not_seen_by_the_framework_ends_the_run(
    run_devices, gpu, launcher
):
    """One line, exit 4, before the CPU is measured: it would be the CPU twice."""
    gpu.clear()
    result = run_devices("--train-devices", "cpu,gpu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = "tensorflow sees no GPU and would train on the CPU; install its build for GPUs (pip"
    text = result.stdout.str() + result.stderr.str()
    assert sum(line in shown for shown in text.splitlines()) == 1
    assert launcher.rounds == 0


def test_a_gpu_that_the_framework_does_not_see_is_a_skip_when_nobody_asked_for_it(run_devices, gpu):
    """The CPU is measured, and the reason says what to install."""
    gpu.clear()
    result = run_devices()
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*tensorflow sees no GPU*pip install*"])


def test_a_framework_that_cannot_be_asked_says_why(run_devices, gpu, monkeypatch):
    """Instead of a guess."""

    def broken(backend, cuda_device):
        raise visible_gpus.NotListed("importing tensorflow failed: ImportError: libcudart.so.12")

    monkeypatch.setattr(visible_gpus, "of_framework", broken)
    result = run_devices("--train-devices", "gpu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*importing tensorflow failed: ImportError: libcudart.so.12"])


def test_backends_are_compared_and_one_that_is_not_installed_is_a_skip(
    pytester, no_charts, launcher, monkeypatch
):
    """With the line that installs it; JAX's step is compiled, as Keras does."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "torch" else real("json")
    )
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    pytester.makepyfile(test_mine=BACKENDS)
    result = pytester.runpytest_inprocess(*QUICK, "--train-variants", "baseline", "-rs")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*torch is not installed: pip install torch"])
    (folder,) = run_folders(pytester)
    table = (folder / "tables" / "backend_speedup.csv").read_text()
    assert "jax,True,tensorflow,False" in table


def test_a_reference_that_cannot_train_here_is_a_skip(pytester, no_charts, gpu, monkeypatch):
    """Its backend does not see the GPU; that of the case does."""
    monkeypatch.setattr(launchers, "Launcher", lambda **_: FakeLauncher())
    monkeypatch.setattr(
        visible_gpus,
        "of_framework",
        lambda name, device: Seen(["Fake GPU"] if name == "jax" else []),
    )
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.matrix(backends=["jax"], devices=["gpu"])
        def test_it(train, backend, device):
            train("baseline", backend=backend, device=device, reference={"backend": "tensorflow"})
        """
    )
    result = pytester.runpytest_inprocess(*QUICK, "-rs", "--benchmark-json=saved.json")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*tensorflow sees no GPU*"])
