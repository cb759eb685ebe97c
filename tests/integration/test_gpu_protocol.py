"""The whole way of a GPU case with real workers, where only the GPU is a stand-in.

The workers are Torch's, on the CPU; they are told to say that it is a GPU.
"""

import importlib.util
import os
import time

import pytest
from fakes import MACHINE, FakeGpu, Silent, busy_gpu
from samples import dataframe

from harness.measure.budget import Budget
from harness.measure.runner import Runner
from harness.measure.side import Setup
from harness.measure.workers.launcher import Launcher
from harness.records import Case, Measurement, Protocol
from harness.records.protocol import EFFORTS
from harness.report import files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch not installed"),
]

PRETEND = """
import os

from harness.worker.backends.torch import Torch, TorchTrainer

os.environ["KERAS_TORCH_DEVICE"] = "cpu"
if os.environ.get("CUDA_VISIBLE_DEVICES") == "GPU-fake":
    Torch.gpus = lambda self: ["Pretended GPU"]
    TorchTrainer.device_name = lambda self: "Pretended GPU"
    TorchTrainer.float32_math = lambda self: "TF32"
    TorchTrainer.sync = lambda self: None
    TorchTrainer.reset_peak_memory = lambda self: None
    TorchTrainer.peak_memory = lambda self: (512 * 2**20, "allocator peak of the rounds")
"""


def test_a_gpu_case_from_its_workers_to_its_files(tmp_path, monkeypatch):
    """Workers one after the other, readings ten times a second, every table and chart."""
    (tmp_path / "sitecustomize.py").write_text(PRETEND)  # Python imports it when it starts
    monkeypatch.syspath_prepend(tmp_path)
    quick = EFFORTS["quick"]
    protocol = Protocol(
        **{name: getattr(quick, name) for name in quick.__slots__}
        | {"effort": "default", "blocks": 2, "block_seconds": 12.0}
    )
    gpu = FakeGpu(reading=lambda number: busy_gpu(0.1 * number), processes=frozenset({os.getpid()}))
    case = Case("improved", "synthetic", 64, backend="torch", device="gpu", threads=1)
    reference = Case("improved", "synthetic", 64, backend="torch", device="cpu", threads=1)
    folder = tmp_path / "run"
    with Launcher(cuda_device=gpu.cuda_device) as launcher:
        budget = Budget(None, 1, time.monotonic)
        runner = Runner.open(folder, Setup(protocol, launcher, gpu), MACHINE, Silent(), budget)
        outcome = runner.measure(case, reference)
        run = runner.save()
        runner.close()
    assert isinstance(outcome, Measurement), outcome
    assert (outcome.facts.device_name, outcome.reference_facts.device_name) == (
        "Pretended GPU",
        "cpu",
    )
    assert outcome.facts.float32_math == "TF32"
    for start in outcome.starts:
        assert start.fit is not None
        if start.role == "case":
            assert start.gpu_memory_bytes == 512 * 2**20
            assert len(start.usage.gpu.trace.seconds) > 20
            assert start.usage.gpu.foreign_processes == 1
        else:
            assert start.usage.gpu is None
    row = dataframe(run, "measurements").set_index("device").loc["gpu"]
    assert 80 < row["gpu_percent"] <= 92
    assert row["gpu_readings"] > 40
    assert row["joules_per_sample"] == pytest.approx(row["gpu_power_w"] * row["sample_us"] / 1e6)
    assert "float32 is multiplied differently (TF32 against float32)" in row["cautions"]
    paths = files.write(run, folder).paths
    names = {path.name for path in paths}
    assert {"device_speedup.png", "device_crossover.csv", "device_break_even.csv"} <= names
    # The pretended GPU is the CPU: noise decides whether it ever makes up for its start.
    pays = dataframe(run, "device_break_even")["pays_after_steps"].notna().any()
    assert ("device_break_even.png" in names) == pays
    assert "gpu_improved-synthetic-b64-torch-gpu-t1.png" in names
