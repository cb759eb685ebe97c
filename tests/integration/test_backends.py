"""Real workers with JAX and Torch: the same cases, and TensorFlow is not needed for them."""

import importlib.util
import math
import os
import shutil
import subprocess
import sys

import nvml
import pytest
from fakes import installed
from samples import dataframe

from harness.measure.machine import visible_gpus
from harness.measure.machine.facts import usable_cpus
from harness.records import Case, Measurement, to_json
from harness.worker import backends

pytestmark = pytest.mark.slow

OTHERS = installed("jax", "torch")


def case(backend, **changes):
    jit = backends.find(backend).jit_by_default
    return Case("improved", "synthetic", 16, backend=backend, jit=jit, **changes)


@pytest.mark.parametrize("backend", OTHERS)
def test_a_backend_is_measured_against_tensorflow(make_runner, backend):
    """The same model, parameters and arithmetic; a loss that is one; a table of its own."""
    runner = make_runner()
    outcome = runner.measure(case(backend), case("tensorflow"))
    assert isinstance(outcome, Measurement), outcome
    for facts in (outcome.facts, outcome.reference_facts):
        assert (facts.parameters, facts.macs_per_sample) == (72_970, 7_060_608)
        assert facts.device_name == "cpu"
        assert facts.parameters_moved
        assert facts.float32_math is None
    assert outcome.facts.jit == (backend == "jax")
    assert outcome.facts.backend_version.startswith(f"{backend} ")
    assert abs(outcome.facts.initial_loss - outcome.reference_facts.initial_loss) < 1
    assert all(math.isfinite(r.loss) and r.cpu_seconds > 0 for r in outcome.rounds)
    assert all(start.traces == 0 for start in outcome.starts)
    programs = {start.program for start in outcome.starts if start.role == "case"}
    assert len(programs) == 1  # every process compiles the same one on a CPU
    assert (None not in programs) == (backend == "jax")
    frame = dataframe(runner.run(), "backend_speedup")
    assert list(frame["backend"]) == [backend]


@pytest.mark.parametrize("backend", OTHERS)
def test_a_worker_trains_on_as_many_threads_as_it_is_given(launcher, backend):
    """On one, CPU time is wall time."""
    one = case(backend, threads=1)
    worker = launcher.start(one, timeout=300.0)
    worker.ask("open", case=to_json(one), cpus=usable_cpus())
    worker.ask("warm_up", seconds=0.5, floor_seconds=0.0)
    a_round = worker.ask("round", steps=8)
    launcher.end(worker)
    assert a_round["cpu_seconds"] <= 1.1 * a_round["seconds"]


@pytest.mark.parametrize("backend", OTHERS)
def test_every_step_is_an_update_and_a_fit_goes_on_from_there(backend):
    """Three steps, then a `fit` of two, make five."""
    code = f"""
import keras, numpy as np
from harness.worker.backends import find
from harness.records import Case
from harness.workloads.datasets import Dataset
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.compile("sgd", "mse")
case = Case("mine", "none", 8, backend="{backend}", jit={backends.find(backend).jit_by_default})
x, y = np.ones((64, 4), "float32"), np.ones((64, 2), "float32")
trainer = find("{backend}").trainer(model, Dataset(x, y, x[:0], y[:0]), case)
before = trainer.weights_digest()
trainer.run(3)
assert trainer.weights_digest() != before
fit = trainer.fit(2, 60.0)
assert 0 < fit.first_step_seconds < fit.seconds, fit
if "{backend}" == "jax":
    model.jax_state_sync()  # the fit was left before it gave the state back
print(int(model.optimizer.iterations))
"""
    environment = backends.find(backend).environment("cpu", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["5"]


@pytest.mark.parametrize("backend", OTHERS)
def test_a_worker_needs_no_tensorflow(backend, tmp_path):
    """Not even where it is installed: here importing it fails."""
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not to be had')")
    code = f"""
from harness.measure.workers.launcher import Launcher
from harness.measure.machine.facts import usable_cpus
from harness.records import Case, to_json
case = Case(
    "improved", "synthetic", 16, backend="{backend}", jit={backends.find(backend).jit_by_default}
)
with Launcher() as launcher:
    worker = launcher.start(case, timeout=300.0)
    worker.ask("open", case=to_json(case), cpus=usable_cpus())
    worker.ask("round", steps=1)
    print(worker.ask("fit", steps=2)["fit"]["steps"])
"""
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2"]


@pytest.mark.parametrize("backend", [pytest.param("tensorflow"), *OTHERS])
def test_a_backend_says_which_gpus_it_sees(backend):
    """None, where CUDA is to see none."""
    seen = visible_gpus.of_framework(backend, None)
    assert list(seen.gpus) == []


@pytest.mark.parametrize("backend", ["tensorflow", *installed("torch")])
def test_a_backend_says_why_it_sees_no_gpu(backend, driver):
    """In its own words, where there is a driver, of which it lacks some function."""
    driver()
    seen = visible_gpus.of_framework(backend, nvml.FIRST)
    assert list(seen.gpus) == []
    if backend == "torch" and not seen.kernels:
        pytest.skip("Torch's build for CPUs says nothing of GPUs")
    assert "CUDA" in seen.said.upper()
    assert "Warning:" not in seen.said
    assert all(one.startswith(("sm_", "compute_")) for one in seen.kernels)


@pytest.mark.parametrize("backend", installed("torch"))
def test_inductor_compiles_in_the_worker_itself(backend):
    """Its own processes would compile beside rounds, and outlive a worker for minutes."""
    code = "import torch._inductor.config as config; print(config.compile_threads)"
    environment = backends.find(backend).environment("gpu", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ["1"]


@pytest.mark.parametrize("backend", [pytest.param("tensorflow"), *OTHERS])
def test_a_case_on_a_gpu_that_its_framework_does_not_see_is_unsupported(make_runner, backend):
    """And says what to install; the CPU never trains in its place."""
    blind = case(backend, device="gpu")
    outcome = make_runner().measure(blind, blind)
    assert (outcome.kind, outcome.message) == ("unsupported", backends.find(backend).unseen())


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or shutil.which("g++") is None,
    reason="Torch and a C++ compiler, which its own compiler needs",
)
def test_a_step_that_torch_has_compiled_is_not_compiled_again():
    """Its graphs are counted from outside: a count within the step would be a new one each time."""
    code = """
import keras, numpy as np
from harness.worker.backends import find
from harness.records import Case
from harness.workloads.datasets import Dataset
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.compile("sgd", "mse")
x, y = np.ones((64, 4), "float32"), np.ones((64, 2), "float32")
case = Case("mine", "none", 8, backend="torch", jit=True)
trainer = find("torch").trainer(model, Dataset(x, y, x[:0], y[:0]), case)
trainer.run(3)
before = trainer.traces
assert before > 0
trainer.run(3)
print(trainer.traces - before)
"""
    environment = backends.find("torch").environment("cpu", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"]
