"""Each finding says what was found and, where something can be done, what."""

import pytest
from fakes import FakeClock, FakeGpu
from nvml import MIG, script

from harness.commands import doctor
from harness.commands.parser import main
from harness.measure.machine import facts, visible_gpus
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.machine.visible_gpus import Seen
from harness.records import Finding
from harness.worker import backends


def only(findings, state):
    return [f for f in findings if f.state == state]


def test_all_cpus_are_no_matter():
    """One line."""
    (found,) = doctor.cpu("Fake CPU", 8, 8, None)
    assert (found.state, found.text) == ("ok", "Fake CPU, 8 CPUs")


def test_fewer_cpus_than_there_are_is_said_with_its_cause():
    """A quota stops a training in the middle of a round."""
    _, fewer, quota = doctor.cpu("Fake CPU", 8, 1, 1.5)
    assert (
        fewer.text == "this process may use 1 of them (affinity, or the cgroup's quota of 1.5 CPUs)"
    )
    assert "more than 1.5 CPUs' worth of time" in quota.text
    assert fewer.advice
    assert quota.advice


@pytest.mark.parametrize(
    ("governor", "state"), [("performance", "ok"), ("powersave", "note"), (None, "note")]
)
def test_the_governor_is_said(governor, state):
    """Or that it is not told."""
    found = doctor.frequency(governor)
    assert found.state == state
    assert bool(found.advice) == (governor == "powersave")


@pytest.mark.parametrize(("available", "state"), [(20, "ok"), (2, "problem")])
def test_too_little_memory_is_a_problem(available, state):
    """Two workers must fit."""
    found = doctor.memory(available * 2**30, 24 * 2**30, {"ulimit -d": 2**30})
    assert found.state == state
    assert "the cgroup's limit is 24.0 GiB; the shell's limit is 1024 MiB (ulimit -d)" in found.text


def test_what_the_starter_of_a_job_holds_back_is_said(monkeypatch):
    """With the option that gives it."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(facts, "usable_cpus", lambda: [0])
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr(doctor, "disturbances", lambda sleep: [])
    monkeypatch.setattr(doctor, "frameworks", lambda gpu, versions: [])
    found = [one for one in doctor.examine(FakeGpu(name=None)) if one.subject == "job"]
    assert [one.text for one in found if "CPUs" in one.text] == [
        "Slurm lets this process use 1 of the 8 CPUs of this machine"
    ]
    assert found[0].advice == "add -c 8 to srun or sbatch"


def test_the_dataset_is_said(monkeypatch, tmp_path):
    """MNIST, what is used in its place, or what is wrong."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    found = doctor.data()
    assert (found.state, "digits" in found.text) == ("note", True)
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "none.npz"))
    found = doctor.data()
    assert (found.state, "does not exist" in found.text) == ("problem", True)


def test_a_busy_process_is_named(monkeypatch):
    """With the CPUs that it takes."""
    busy = [("firefox (123)", 0.82), ("idle (7)", 0.01)]
    monkeypatch.setattr(facts, "busy_processes", lambda seconds, sleep: busy)
    found = list(doctor.disturbances(FakeClock().sleep))
    assert found[0].text == "other processes keep CPUs busy: firefox (123) 0.82"
    assert found[0].state == "problem"


def test_a_gpu_is_described_with_what_nvml_refuses(driver):
    """Each reason is a line; a process on it is a problem."""
    driver().answer(script(more="fail nvmlDeviceGetTotalEnergyConsumption 3", persistence=0))
    found = list(doctor.graphics(open_gpu()))
    texts = [f.text for f in found]
    of = "driver 580.00.05, CUDA up to 13.0"
    assert texts[0] == f"NVIDIA H100 80GB HBM3 (Hopper, 9.0), 80.0 GiB, {of}"
    assert "NVML does not report energy joules: Not Supported" in texts
    assert any(text.startswith("NVML reports utilization percent, ") for text in texts)
    assert [f.text for f in only(found, "problem")] == ["1 process is on it"]
    (off,) = [f for f in found if "persistence" in f.text]
    assert off.advice == "sudo nvidia-smi -pm 1"


def test_what_a_mig_instance_lacks_is_one_line(driver):
    """And not one per counter."""
    driver().answer(script(MIG, "order 1"))
    found = [f.text for f in doctor.graphics(open_gpu()) if "does not report" in f.text]
    assert len(found) == 1
    assert found[0].endswith(": NVML has no such counter of a MIG instance")


def test_a_gpu_that_is_hot_is_a_problem(driver):
    """The driver says that heat lowers its clocks."""
    driver().answer(script(reasons=0x40))
    found = doctor.graphics(open_gpu())
    assert "clocks are lowered because of heat" in [f.text for f in only(found, "problem")]


def test_no_gpu_is_a_note_with_its_reason():
    """Not a problem: cases run on the CPU."""
    (found,) = doctor.graphics(FakeGpu(name=None))
    assert (found.state, found.text) == ("note", "no GPU: fake")


def frameworks(monkeypatch, gpu, seen, installed=backends.NAMES):
    def ask(name, cuda_device):
        if isinstance(seen, Exception):
            raise seen
        return seen

    monkeypatch.setattr(visible_gpus, "of_framework", ask)
    monkeypatch.setattr(
        backends.Backend,
        "missing",
        lambda self: None if self.name in installed else f"{self.name} is not: pip",
    )
    return list(doctor.frameworks(gpu, dict.fromkeys(backends.NAMES, "1.0")))


def test_a_framework_that_sees_the_gpu_says_which(monkeypatch):
    """By its name."""
    found = frameworks(monkeypatch, FakeGpu(), Seen(["Fake GPU"]))
    assert {f.text for f in found} == {"1.0, sees Fake GPU"}


def test_a_framework_that_does_not_see_the_gpu_is_told_how_it_would(monkeypatch):
    """The line that installs its build for GPUs."""
    found = frameworks(monkeypatch, FakeGpu(), Seen([], said="Cannot dlopen some GPU libraries"))
    assert {f.state for f in found} == {"note"}
    assert found[0].text == "1.0, does not see the GPU: Cannot dlopen some GPU libraries"
    assert found[0].advice == "to train on it: pip install 'tensorflow[and-cuda]'"


def test_kernels_that_are_compiled_first_are_said(driver, monkeypatch):
    """Before someone takes the first step for one that hangs."""
    driver().answer(script(capability=120))
    found = frameworks(monkeypatch, open_gpu(), Seen(["a GPU"], ["sm_90", "compute_90"]))
    assert found[0].state == "note"
    assert (
        "has kernels for sm_90, compute_90 and not for compute capability 12.0" in found[0].advice
    )


def test_without_a_framework_nothing_can_be_measured(monkeypatch):
    """Exit code 1; with any of them, 0."""
    none = frameworks(monkeypatch, FakeGpu(name=None), Seen([]), installed=())
    assert not doctor.can_train(none)
    torch = frameworks(monkeypatch, FakeGpu(name=None), Seen([]), installed=("torch",))
    assert doctor.can_train(torch)
    broken = frameworks(monkeypatch, FakeGpu(), visible_gpus.NotListed("it broke"))
    assert not doctor.can_train(broken)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_findings_fit_the_width(width):
    """Broken between words, the advice below the text."""
    from rich.console import Console

    console = Console(width=width, record=True)
    doctor.show(console, Finding("CPU", "note", "words " * 40, "advice " * 30), "")
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert any("→ advice" in line for line in lines)


def test_the_command_prints_and_says_whether_the_cpu_can_be_measured(monkeypatch, capsys):
    """As scripts want it."""
    monkeypatch.setattr(visible_gpus, "of_framework", lambda name, cuda_device: Seen([]))
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for word in ("CPU", "memory", "disturbance", "GPU", "tensorflow", "jax", "torch"):
        assert word in shown
