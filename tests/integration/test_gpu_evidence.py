"""The script for the first hour with a GPU, tried on the CPU with a driver in C.

Torch's workers call the CPU a GPU, CUDA's events are those of a clock, and each operation that
calls no other one launches a kernel that takes as long.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import nvml
import pytest
from pretended import PRETEND

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch not installed"),
]
SCRIPT = Path(__file__).parents[2] / "docs" / "evidence" / "gpu.py"
EVENTS = """
import itertools
import json
import pathlib
import time

import torch


class Event:
    def __init__(self, enable_timing):
        self.at = 0.0

    def record(self):
        self.at = time.perf_counter()

    def elapsed_time(self, last):
        return 1e3 * (last.at - self.at)


def with_kernels(profile, path, plain=torch.profiler.profile.export_chrome_trace):
    plain(profile, path)
    trace = json.loads(pathlib.Path(path).read_text())
    operations = [one for one in trace["traceEvents"] if one.get("cat") == "cpu_op"]
    operations.sort(key=lambda one: (one["tid"], one["ts"], -one["dur"]))
    for number, (one, after) in enumerate(itertools.pairwise(operations)):
        if one["tid"] == after["tid"] and after["ts"] < one["ts"] + one["dur"]:
            continue
        known = {"ph": "X", "ts": one["ts"], "args": {"correlation": number}}
        call = {"cat": "cuda_runtime", "name": "cudaLaunchKernel", "tid": one["tid"], "dur": 0.0}
        kernel = {"cat": "kernel", "name": "kernel", "tid": 7, "dur": one["dur"]}
        trace["traceEvents"] += [{**known, **call}, {**known, **kernel}]
    pathlib.Path(path).write_text(json.dumps(trace))


torch.cuda.Event = Event
torch.cuda.synchronize = lambda: None
torch.profiler.profile.export_chrome_trace = with_kernels
"""


def test_every_part_runs(driver, tmp_path, monkeypatch):
    """Each is judged or says why it is not; none ends in a traceback; a second call has nothing."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(PRETEND.format(uuid=nvml.FIRST))
    (site / "torch_events.py").write_text(EVENTS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, sys.path)]))
    monkeypatch.setenv("PRETEND_EVENTS", "1")
    driver().answer(nvml.script(counted_milliwatts=212_500))
    folder = tmp_path / "hour"
    command = [sys.executable, str(SCRIPT), "--quick", "--resume", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    failures = folder / "failures.log"
    assert not failures.exists(), failures.read_text()
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    document = json.loads((folder / "gpu.json").read_text())
    verdicts = {
        part: [(one["subject"], one["found"], one["verdict"]) for one in checks]
        for part, checks in document["parts"].items()
    }
    unshown = {part for part, its in verdicts.items() if {one[2] for one in its} == {"not shown"}}
    assert unshown <= {"watching", "alike"}, verdicts  # a short trial decides little
    assert [one[2] for one in verdicts["layers"]][:1] == ["holds"], verdicts["layers"]
    assert verdicts["energy"][0][2] == "holds", verdicts["energy"]
    assert verdicts["suites"][0][2] == "holds", (folder / "suites.log").read_text()
    assert "| suites of device and batch size | exit code 0 |" in (folder / "gpu.md").read_text()
    again = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == done.returncode
    assert "claims hold" in again.stdout


def test_without_a_gpu_every_part_says_so(driver, tmp_path):
    """And the exit code is 0: nothing falls short."""
    driver().answer("")
    folder = tmp_path / "hour"
    command = [sys.executable, str(SCRIPT), "--resume", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    parts = json.loads((folder / "gpu.json").read_text())["parts"]
    found = {one["verdict"] for checks in parts.values() for one in checks}
    assert found == {"not shown"}
    assert "the NVIDIA driver lists no GPU" in (folder / "gpu.md").read_text()
