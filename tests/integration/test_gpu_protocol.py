"""The whole way of a GPU case with real workers, over the real binding of NVML.

NVIDIA's driver is the stand-in in C. The workers are Torch's, on the CPU, which they call a GPU.
"""

import contextlib
import dataclasses
import importlib.util
import time

import nvml
import pytest
from fakes import Silent
from pretended import PRETEND
from samples import dataframe

from harness.measure.budget import Budget
from harness.measure.machine import facts
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.runner import Runner
from harness.measure.side import Setup
from harness.measure.workers.launcher import Launcher
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Measurement
from harness.records.protocol import EFFORTS
from harness.report import files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch not installed"),
]

INITIALIZED = """
import ctypes

ctypes.CDLL("libcuda.so.1").cuInit(0)
"""
GPU = Case("improved", "synthetic", 64, backend="torch", device="gpu", threads=1)
CPU = dataclasses.replace(GPU, device="cpu")


@pytest.fixture
def runner(tmp_path, monkeypatch, driver):
    """A runner for a GPU of a driver that answers so; another import may go before."""

    @contextlib.contextmanager
    def of(answers, block_seconds=1.0, before=""):
        site = tmp_path / "site"
        site.mkdir()
        # Python imports it when it starts.
        (site / "sitecustomize.py").write_text(before + PRETEND.format(uuid=nvml.FIRST))
        monkeypatch.syspath_prepend(site)
        driver().answer(answers)
        gpu = open_gpu()
        protocol = dataclasses.replace(
            EFFORTS["quick"],
            effort="default",
            blocks=2,
            block_seconds=block_seconds,
            cool_down_seconds=2.0,
        )
        with Launcher(cuda_device=gpu.cuda_device) as launcher:
            setup, budget = Setup(protocol, launcher, gpu), Budget(None, 1, time.monotonic)
            machine = facts.describe(gpu)
            runner = Runner.open(tmp_path / "run", setup, machine, Silent(), budget)
            with contextlib.closing(runner):
                yield runner

    return of


@pytest.fixture
def measure(runner):
    """Measure on such a GPU."""

    def of(case, reference, answers, **options):
        with runner(answers, **options) as its:
            outcome = its.measure(case, reference)
            assert isinstance(outcome, Measurement), outcome
            return outcome, its.save()

    return of


def test_a_gpu_case_from_its_workers_to_its_files(measure, tmp_path):
    """Workers one after the other, readings four times per second, every table and chart."""
    answers = nvml.script(counted_milliwatts=200_000)
    outcome, run = measure(GPU, CPU, answers, block_seconds=12.0)
    assert (outcome.facts.device_name, outcome.reference_facts.device_name) == (
        "Pretended GPU",
        "cpu",
    )
    assert outcome.facts.float32_math == "TF32"
    for start in outcome.starts:
        assert start.fit is not None
        assert not start.spawned
        if start.role == "case":
            assert start.gpu_memory_bytes == 512 * 2**20
            assert len(start.usage.gpu.trace.seconds) > 10
            assert start.usage.gpu.foreign_processes == 1
            assert start.usage.gpu.refused == {}
        else:
            assert start.usage.gpu is None
    row = dataframe(run, "measurements").set_index("device").loc["gpu"]
    assert row["gpu_percent"] == 87.0
    assert row["gpu_readings"] > 20
    assert row["gpu_power_w"] == pytest.approx(200.0, rel=0.1)  # the counter moves in steps
    assert row["joules_per_sample"] == pytest.approx(row["gpu_power_w"] * row["sample_us"] / 1e6)
    assert "float32 is multiplied differently (TF32 against float32)" in row["cautions"]
    assert run.machine.gpu_facts.compute_capability == "9.0"
    paths = files.write(run, tmp_path / "run").paths
    names = {path.name for path in paths}
    assert {"device_speedup.png", "device_crossover.csv", "device_break_even.csv"} <= names
    # The pretended GPU is the CPU: noise decides whether it ever makes up for its start.
    pays = dataframe(run, "device_break_even")["pays_after_steps"].notna().any()
    assert ("device_break_even.png" in names) == pays
    assert "gpu_improved-synthetic-b64-torch-gpu-t1.png" in names


def test_a_profile_without_a_kernel_says_what_may_be_wrong(runner):
    """The pretended GPU executes nothing, as a GPU whose CUPTI is missing is said to."""
    with (
        runner(nvml.script()) as its,
        pytest.raises(WorkerFailed, match=r"recorded nothing on the GPU: .*CUPTI"),
    ):
        its.profile(GPU, 1)


def test_where_an_import_has_initialized_cuda_workers_have_new_interpreters(measure):
    """And the case says so."""
    outcome, run = measure(GPU, GPU, nvml.script(), block_seconds=1.0, before=INITIALIZED)
    assert all(start.spawned for start in outcome.starts)
    (caution,) = set(dataframe(run, "measurements")["cautions"])
    assert "importing the framework initialized CUDA" in caution
