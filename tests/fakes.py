"""Stand-ins for what is slow or unpredictable: workers, clock, GPU, observer."""

import base64
import dataclasses
import importlib.util
import math
import os
import zlib
from pathlib import Path

import pytest

from harness.measure.budget import Budget
from harness.measure.machine.energy import Counter, Meter
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.host_state import HostState
from harness.measure.runner import Runner
from harness.measure.side import Setup
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, GpuReading, GpuTrace, GpuUsage, Machine, Protocol, from_json
from harness.worker import backends

MACHINE = Machine(
    id="fake0001",
    cpu="Fake CPU",
    cpus=2,
    usable_cpus=2,
    memory_bytes=8 * 2**30,
    memory_limit_bytes=None,
    os="Linux",
    python="3.11",
    gpu_reason="no GPU: fake",
    libraries={"tensorflow": "2.21.0", "keras": "3.15.1"},
)


QUIET = HostState(cpus="0,1", other_runs=0, slept_seconds=0.0, wall_offset_seconds=0.0)


def protocol(**changes):
    """A protocol of two blocks and two pairs a block."""
    fields = {
        "effort": "default",
        "blocks": 2,
        "block_seconds": 1.0,
        "round_seconds": 0.1,
        "fit_seconds": 0.1,
        "warm_up_seconds": 0.1,
        "min_pairs": 2,
        "max_pairs": 2,
    }
    return Protocol(**{**fields, **changes})


class FakeClock:
    """Advances by what is slept."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class FakeGpu(AnyGpu):
    """A GPU whose readings are a function of how many there were; always the same by default."""

    def __init__(self, name="Fake GPU", reading=lambda number: GpuReading(), processes=None):
        super().__init__(None if name else "no GPU: fake")
        self.name = name
        self.cuda_device = "GPU-fake"
        self._reading = reading
        self._processes = processes
        self.readings = 0

    def read(self):
        self.readings += 1
        return self._reading(self.readings - 1)

    def processes(self):
        return self._processes


_PIXELS = base64.b64encode(zlib.compress(bytes([0, 255, 128, 7]))).decode()


class FakeWorker:
    """Answers as a worker whose step takes exactly so many seconds a sample."""

    pid = os.getpid()
    spawned_instead = False

    def __init__(self, launcher):
        self._launcher = launcher
        self._case = None
        self._loss = 2.3

    def ask(self, command, **arguments):
        self._launcher.asked.append(command)
        return getattr(self, f"_{command}")(**arguments)

    @property
    def _step(self):
        return self._launcher.sample_seconds(self._case) * self._case.batch_size

    def _inspect(self, case, cpus, images):
        self._case = from_json(Case, case)
        failure = self._launcher.untrainable.get(self._case.variant)
        if failure:
            raise WorkerFailed(*failure)
        dataset = self._case.dataset
        if dataset == "auto":
            usual = images if self._launcher.takes_images else "fitted"
            dataset = self._launcher.own_data.get(self._case.variant, usual)
        return {
            "dataset": dataset,
            "no_data": "no data found" if dataset == "fitted" != self._case.dataset else "",
            "train_samples": 60_000,
            "signature": "input float32 (28, 28, 1) → (10)",
            "parameters": 1000,
            "losses": [2.3, 2.2, 2.1],
        }

    def _open(self, case, cpus, memory_bytes=None, early_steps=None, profiled=False):
        self._case, self._profiled = from_json(Case, case), profiled
        self._launcher.cpus.append(cpus)
        early = early_steps and self._launcher.early_loss(self._case)
        if memory_bytes is not None and self._case.batch_size * 2**20 > memory_bytes:
            raise WorkerFailed("oom", "MemoryError: it would not fit")
        failure = self._launcher.failures.get(self._case.id)
        if failure:
            raise WorkerFailed(*failure)
        return {
            "start": {
                "data_seconds": 0.1,
                "build_seconds": 0.1,
                "first_step_seconds": 0.5,
                "early_loss": early,
                "early_steps": early_steps,
                "import_rss_bytes": 100 * 2**20,
                "build_rss_bytes": 120 * 2**20,
            },
            "facts": {
                "parameters": self._launcher.parameters.get(self._case.variant, 1000),
                "macs_per_sample": self._launcher.macs.get(self._case.variant, 5000),
                "macs_source": "layers",
                "parameter_bytes": 4000,
                "optimizer_bytes": 8000,
                "activation_bytes_per_sample": 2000,
                "layout": self._launcher.layouts.get(self._case.variant, "fake"),
                "optimizer": "Adam",
                "train_samples": 60_000,
                "device_name": self._case.device,
                "backend_version": "fake 1.0",
                "initial_loss": 2.3,
                "parameters_moved": True,
            },
        }

    def _warm_up(self, seconds, floor_seconds, floor_steps=0):
        return {"step_seconds": self._step, "warm_up_steps": 2, "steady": True}

    def _round(self, steps):
        self._launcher.rounds += 1
        if self._launcher.rounds == self._launcher.interrupt_at_round:
            raise KeyboardInterrupt
        self._loss *= 0.9
        self._launcher.joules += steps * self._step * self._launcher.watts(self._case)
        return {
            "steps": steps,
            "seconds": steps * self._step,
            "loss": self._loss,
            "cpu_seconds": steps * self._step,
            "involuntary_switches": 0,
            "minor_faults": 0,
            "major_faults": 0,
        }

    def _product_rate(self, seconds):
        return {"product_flops": 1e11, "product_size": 1024}

    def _allreduce(self):
        return {"allreduce_seconds": 0.01, "allreduce_bytes": 4000}

    def _copy_rate(self, seconds):
        rate = self._launcher.copy_bytes_per_second
        return {"copy_bytes_per_second": rate, "copy_bytes": rate and 128 * 2**20}

    def _fit(self, steps):
        samples = steps * self._case.batch_size
        first, later = 0.25 + self._step, 1.1 * self._step
        return {
            "fit": {
                "steps": steps,
                "samples": samples,
                "seconds": first + (steps - self._case.steps_per_execution) * later,
                "first_step_seconds": first,
                "whole_epoch": False,
                "first_steps": self._case.steps_per_execution,
            }
        }

    def _profile(self, path):
        """A convolution that takes 60 % of a step, a dense layer 20 %, the optimizer 10 %.

        Tracing takes half as long again; a GPU is busy for half of a step that is not traced.
        """
        assert self._profiled
        if self._case.variant in self._launcher.untraceable:
            raise WorkerFailed("error", "ValueError: no trace")
        if path is not None:
            Path(path).parent.mkdir(exist_ok=True)
            Path(path).write_bytes(b"trace")
        shares = [
            ("0", False, "Conv2D", 0.2),
            ("0", True, "Conv2DBackpropFilter", 0.4),
            ("1", False, "MatMul", 0.05),
            ("1", True, "MatMul", 0.15),
            ("optimizer", False, "Mul", 0.1),
            ("loss", True, "Mul", 0.02),
            (None, False, "AddN", 0.03),
        ]
        scale = 0.5 / 0.95 if self._case.device == "gpu" else 1.5
        return {
            "steps": 20,
            "traced_seconds": 1.5 * self._step,
            "spent": [
                dict(
                    zip(
                        ("row", "backward", "operation", "seconds", "count"),
                        (*kind, share * scale * self._step, 1.0),
                        strict=True,
                    )
                )
                for *kind, share in shares
            ],
            "layers": [
                _layer(self._launcher.layer_names[0], "Conv2D", 100, 5000, [24, 24, 8]),
                _layer(self._launcher.layer_names[1], "Dense", 900, 1000, [10]),
            ],
        }

    def _open_training(self, case, cpus):
        self._case = from_json(Case, case)
        failure = self._launcher.failures.get(self._case.id)
        if failure:
            raise WorkerFailed(*failure)
        return {
            "facts": {
                "parameters": self._launcher.parameters.get(self._case.variant, 1000),
                "optimizer": "Adam",
                "device_name": self._case.device,
                "train_samples": 60_000,
                "test_samples": 10_000,
            }
        }

    def _train(self, epochs):
        self._epochs, self._epoch_number = epochs, 0
        return self._next_epoch()

    def _next_epoch(self):
        self._epoch_number += 1
        number = self._epoch_number
        self._launcher.turns.append((self._case.variant, number))
        if self._launcher.interrupt_at_epoch == len(self._launcher.turns):
            raise KeyboardInterrupt
        epoch = {
            "epoch": number,
            "seconds": 60_000 * self._launcher.sample_seconds(self._case),
            "validation_seconds": 1.0,
            "loss": 1 / number,
            "accuracy": 1 - 0.1 / number,
            "val_loss": 1 / number,
            "val_accuracy": 1 - 0.03 / number,
            "cpu_seconds": 0.0,
        }
        answer = {"epoch": epoch}
        if number == self._epochs:
            wrong = self._launcher.wrong(self._case)
            answer["mistakes"] = [
                {"sample": i, "label": 4, "predicted": 9, "confidence": 0.9, "pixels": _PIXELS}
                for i in wrong
            ]
            answer["image_shape"] = [2, 2]
        return answer

    def _counters(self):
        on_gpu = self._case.device == "gpu"
        growth = self._case.batch_size if self._profiled else 0  # 1 MiB per sample
        return {
            "peak_rss_bytes": (200 + growth) * 2**20,
            "traces": 0,
            "gpu_memory_bytes": 300 * 2**20 if on_gpu else None,
            "gpu_memory_source": "allocator peak of the rounds" if on_gpu else "on the CPU",
        }


def _layer(path, kind, parameters, macs, shape):
    return {
        "path": path,
        "type": kind,
        "calls": 1.0,
        "parameters": parameters,
        "parameter_bytes": 4 * parameters,
        "trainable": True,
        "output_shape": shape,
        "macs_per_sample": macs,
        "input_bytes_per_sample": 1000,
        "activation_bytes_per_sample": 4 * math.prod(shape),
    }


class FakeLauncher:
    """Starts fake workers.

    `sample_seconds(case)` says how fast a case is; `failures` maps a case's id
    to the arguments of the `WorkerFailed` that it ends with.
    """

    def __init__(self, sample_seconds=lambda case: 1e-3, failures=None, parameters=None, macs=None):
        self.macs = macs or {}
        self.layouts = {}
        self.untrainable = {}
        self.untraceable = set()
        self.layer_names = ("conv2d", "dense")
        self.takes_images = True
        self.own_data = {}
        self.copy_bytes_per_second = 2e10
        self.sample_seconds = sample_seconds
        self.early_loss = lambda case: 2.0 + 0.1 * case.seed
        self.failures = failures or {}
        self.parameters = parameters or {}
        self.asked = []
        self.cpus = []  # that each worker may use
        self.turns = []
        self.wrong = lambda case: range(100)
        self.interrupt_at_epoch = None
        self.rounds = 0
        self.joules, self.watts = 0.0, lambda case: 10.0
        self.interrupt_at_round = None
        self.running = self.most_running = 0

    @property
    def meter(self):
        """Counts the joules of all rounds."""
        counts = Counter(
            "package-0", "package", 1e-6, None, lambda: b"%d\n" % round(1e6 * self.joules)
        )
        return Meter("powercap", (counts,))

    def start(self, case, timeout):
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        return FakeWorker(self)

    def end(self, worker):
        self.running -= 1

    def prepare(self, case, *, wait=False):
        self.prepared = (case.backend, case.device)

    def preload(self, cases, coming):
        pass

    def close(self):
        assert self.running == 0, "a worker was left behind"


class Silent:
    """An observer that keeps the arguments of its calls."""

    def __init__(self):
        self.comparisons = []
        self.rounds = []
        self.runs = []
        self.ended = 0
        self.outcomes = []
        self.logs = []
        self.epochs = []
        self.sizes = []

    def on_group(self, comparisons, blocks):
        self.comparisons += [(case, reference, blocks) for case, reference in comparisons]

    def on_round(self, case, a_round):
        self.rounds.append(a_round)

    def on_block(self, run):
        self.runs.append(run)

    def on_group_end(self):
        self.ended += 1

    def on_outcome(self, outcome, log):
        self.outcomes.append(outcome)
        self.logs.append(log)

    def on_known_outcome(self, outcome):
        self.outcomes.append(outcome)

    def on_size(self, case, size):
        self.sizes.append((case, size))

    def on_epoch(self, recipe, epoch):
        self.epochs.append((recipe, epoch))


def gpu_usage(reading, seconds=5.0, interval=0.1, idle_memory=2**30, foreign=0, refused=None):
    """Readings of a GPU during the rounds of one worker; `reading` is a function of the second."""
    times = [interval * number for number in range(round(seconds / interval) + 1)]
    readings = [reading(second) for second in times]
    names = [f.name for f in dataclasses.fields(GpuReading)]
    columns = {name: tuple(getattr(r, name) for r in readings) for name in names}
    trace = GpuTrace(seconds=tuple(times), **columns)
    return GpuUsage(trace, idle_memory, foreign, dict(refused or {}))


def busy_gpu(second):
    """A GPU under a training: its energy counter moves five times a second."""
    return GpuReading(
        utilization_percent=20.0 if second < 0.5 else 90.0 + second % 2,
        controller_percent=40.0,
        memory_bytes=int((1.5 + min(second, 1.0)) * 2**30),
        power_watts=200.0 + 10 * (second % 2),
        energy_joules=5e5 + 205.0 * int(second / 0.2 + 1e-9) * 0.2,
        temperature_celsius=50 + second,
        sm_clock_mhz=1200.0 if second < 0.4 else 1755.0,
        memory_clock_mhz=2619.0,
        throttle_reasons=0,
    )


def with_gpu_usage(measurement, usage):
    """The measurement as if its GPU workers had been read so."""

    def read(start):
        case = measurement.case if start.role == "case" else measurement.reference
        if case.device != "gpu":
            return start
        return dataclasses.replace(start, usage=dataclasses.replace(start.usage, gpu=usage))

    starts = tuple(read(start) for start in measurement.starts)
    return dataclasses.replace(measurement, starts=starts)


def runner_of(
    folder,
    launcher,
    comparisons=1,
    machine=MACHINE,
    target=None,
    *,
    gpu=None,
    observer=None,
    budget=None,
    read_host_state=lambda: QUIET,
    is_decided=lambda _: False,
    is_hopeless=lambda _: False,
    command=None,
    meter=None,
    **changes,
):
    """A runner over fake workers, without a GPU or meter; `changes` are of its protocol."""
    chosen = protocol(**{"blocks": 3, **changes})
    setup = Setup(
        chosen,
        launcher,
        gpu or FakeGpu(name=None),
        meter or Meter(),
        is_decided=is_decided,
        is_hopeless=is_hopeless,
        read_host_state=read_host_state,
    )
    return Runner.open(
        folder,
        setup,
        machine,
        observer or Silent(),
        budget or Budget(None, comparisons, FakeClock()),
        target_accuracy=target,
        command=command,
    )


HOSTILE = """<script>alert(1)</script>&"'"""


def hostile_run(folder):
    """A run of a GPU and a CPU with everything a page shows, of a variant with a hostile name."""
    broken = Case(HOSTILE, "mnist", 4096)
    launcher = FakeLauncher(
        lambda case: (4e-3 / case.batch_size + 1e-5) if case.device == "gpu" else 2e-4,
        {broken.id: ("oom", "memory ran out", "")},
    )
    runner = runner_of(folder, launcher, 7, dataclasses.replace(MACHINE, gpu="Fake GPU"))
    outcomes = []
    for variant in (HOSTILE, "improved"):
        for size in (4, 256, 1024):
            cpu = Case(variant, "mnist", size)
            outcome = runner.measure(dataclasses.replace(cpu, device="gpu"), cpu)
            outcomes.append(with_gpu_usage(outcome, gpu_usage(busy_gpu)))
    outcomes.append(runner.measure(broken, Case(HOSTILE, "mnist", 256)))
    return dataclasses.replace(
        runner.run(), outcomes=tuple(outcomes), command=f"harness run '{HOSTILE}'"
    )


def installed(*names):
    """Parameters for tests that need a backend's framework; skipped where it is not there."""
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                importlib.util.find_spec(name) is None, reason=backends.find(name).missing() or ""
            ),
        )
        for name in names
    ]
