"""What was observed of a worker and its machine: rounds, start, memory, utilization, sizes.

Fields called evidence are recorded so that a result can be checked later; no table shows them.
"""

from dataclasses import dataclass, field
from typing import Literal

from harness.records.counters import Counters

Role = Literal["case", "reference"]


@dataclass(frozen=True, slots=True)
class Round(Counters):
    """One timed run of whole steps, ended by a device sync, and what was counted around it.

    Attributes:
        block: Index, from 0.
        pair: Index within the block, from 0.
        role: Side of the pair.
        position: 0 if it ran first in its pair, else 1.
        seconds: By the worker's monotonic clock.
        loss: Mean over its steps.
    """

    block: int
    pair: int
    role: Role
    position: int
    steps: int
    seconds: float
    loss: float


@dataclass(frozen=True, slots=True)
class Fit:
    """One timed epoch of a `Model.fit` over arrays in memory.

    Attributes:
        first_step_seconds: From the begin of the epoch to the begin of the second step, or of the
            second execution of several: includes the start of the input pipeline. All of
            `seconds` if there is only one.
        whole_epoch: Whether it covered the training set once.
        first_steps: Steps in `first_step_seconds`: those of one execution.
    """

    steps: int
    samples: int
    seconds: float
    first_step_seconds: float
    whole_epoch: bool
    first_steps: int = 1

    @property
    def later_sample_seconds(self) -> float:
        """Seconds per sample after the first execution; of the only execution if there is one."""
        if self.steps <= self.first_steps:
            return self.seconds / self.samples
        later = self.samples * (self.steps - self.first_steps) / self.steps
        return (self.seconds - self.first_step_seconds) / later


@dataclass(frozen=True, slots=True)
class GpuReading:
    """Readings of NVML at one moment; None where it has none.

    Attributes:
        utilization_percent: Share of the driver's last sample period (1/6 s to 1 s) with a
            kernel running; not efficiency.
        controller_percent: Share of that period in which device memory was read or written
            (evidence).
        memory_bytes: Device memory used by all processes.
        power_watts: Board power, averaged by the driver.
        energy_joules: Since the driver was loaded.
        sm_clock_mhz: Clock of the multiprocessors.
        memory_clock_mhz: Evidence.
        throttle_reasons: NVML's bit mask of clock event reasons.
    """

    utilization_percent: float | None = None
    controller_percent: float | None = None
    memory_bytes: int | None = None
    power_watts: float | None = None
    energy_joules: float | None = None
    temperature_celsius: float | None = None
    sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    throttle_reasons: int | None = None


@dataclass(frozen=True, slots=True)
class GpuTrace:
    """Readings of a GPU during the rounds of one worker: columns of equal length.

    Attributes:
        seconds: Since the rounds began.

    The others are the fields of `GpuReading`.
    """

    seconds: tuple[float, ...] = ()
    utilization_percent: tuple[float | None, ...] = ()
    controller_percent: tuple[float | None, ...] = ()
    memory_bytes: tuple[int | None, ...] = ()
    power_watts: tuple[float | None, ...] = ()
    energy_joules: tuple[float | None, ...] = ()
    temperature_celsius: tuple[float | None, ...] = ()
    sm_clock_mhz: tuple[float | None, ...] = ()
    memory_clock_mhz: tuple[float | None, ...] = ()
    throttle_reasons: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """Readings of the GPU during the rounds of one worker.

    Attributes:
        idle_memory_bytes: Device memory used before the worker began.
        foreign_processes: Most processes of others on the GPU at once; None if NVML does not
            list them.
        refused: Reason for each missing reading, by its name.
    """

    trace: GpuTrace
    idle_memory_bytes: int | None
    foreign_processes: int | None
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Readings of one worker from outside, during its rounds.

    Attributes:
        readings: Their number.
        watched_seconds: From the first to the last.
        watching_cpu_seconds: CPU time of the parent for reading.
        peak_rss_bytes: Largest resident set among the readings.
        gpu: For a worker that trained on a GPU.
    """

    readings: int
    watched_seconds: float
    watching_cpu_seconds: float
    peak_rss_bytes: int | None = None
    gpu: GpuUsage | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """One fresh worker: its start before the rounds, and its totals after them.

    Attributes:
        role: Side of the pair.
        ready_seconds: From the start of the process to the end of the first step.
        data_seconds: Loading the dataset (evidence).
        build_seconds: Building and compiling the model object (evidence).
        first_step_seconds: Trace, compile and run of the first step, or of the first execution
            of several.
        import_rss_bytes: VmHWM before data and model.
        build_rss_bytes: VmHWM with data and model.
        warm_up_steps: Untimed steps after the first (evidence).
        steady: Whether the last two times per untimed step agreed within 10 %.
        peak_rss_bytes: VmHWM of first step, warm-up and rounds; the counter is reset before them,
            and `fit` comes after them.
        traces: Traces of the step during timed rounds; should be 0.
        fit: The timed `fit` of this worker, if any.
        gpu_memory_bytes: Peak of the framework's allocator on the GPU.
        gpu_memory_source: What that peak covers, or why it is unknown.
        cool_down_seconds: Wait before the worker for a GPU that was too hot.
        product_flops: Best rate of a matrix product by the same framework on the same threads
            and device, after the rounds: floating-point operations per second.
        product_size: Rows and columns of its matrices.
        copy_bytes_per_second: Best rate of an operation that reads one array and writes another,
            by the same framework on the same threads and device: bytes read plus written.
        copy_bytes: Size of each of the two arrays (evidence).
        early_loss: Mean loss of the second half of the first `early_steps`. The two sides of a
            block start from the same weights, and blocks from different ones.
        early_steps: Includes the first step.
        allreduce_seconds: Median time to sum arrays like the gradients over all replicas, after
            the rounds and with nothing else running.
        allreduce_bytes: Size of one replica's arrays.
    """

    role: Role
    block: int
    ready_seconds: float
    data_seconds: float
    build_seconds: float
    first_step_seconds: float
    import_rss_bytes: int
    build_rss_bytes: int
    warm_up_steps: int
    steady: bool
    peak_rss_bytes: int
    traces: int
    fit: Fit | None = None
    gpu_memory_bytes: int | None = None
    gpu_memory_source: str = ""
    cool_down_seconds: float = 0.0
    usage: Usage | None = None
    product_flops: float | None = None
    product_size: int | None = None
    copy_bytes_per_second: float | None = None
    copy_bytes: int | None = None
    early_loss: float | None = None
    early_steps: int | None = None
    allreduce_seconds: float | None = None
    allreduce_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What changed on the machine during one block, or one epoch of a full training.

    Attributes:
        block: Index of the block, or number of the epoch.
        cpus_before: Numbers of the usable CPUs, and the cgroup's quota, at its begin.
        cpus_after: The same at its end.
        other_runs: Other runs of this harness on the machine.
        suspended_seconds: How long the machine slept; None without a clock that tells.
        clock_step_seconds: Change of the wall clock relative to the time since boot; likewise.
    """

    block: int
    cpus_before: str
    cpus_after: str
    other_runs: int
    suspended_seconds: float | None
    clock_step_seconds: float | None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a worker reports about its model.

    Attributes:
        parameters: All weights.
        macs_per_sample: Multiply-accumulates of one forward pass, without biases.
        macs_source: How they were counted.
        optimizer: Class name.
        train_samples: Size of the training set.
        backend_version: For example `tensorflow 2.21.0, keras 3.15.1` (evidence).
        initial_loss: Loss of the first step.
        parameters_moved: Whether the first step changed the weights.
        jit: Whether a compiler made one program of the step.
        float32_math: How a GPU multiplies float32, as set: `float32`, `TF32`, or where it is
            one and where the other; None on a CPU, which always uses float32.
        parameter_bytes: Memory of all weights.
        optimizer_bytes: Memory of the optimizer's variables.
        activation_bytes_per_sample: Outputs of all layers in a forward pass of one sample,
            without layers that only reshape.
        layout: Kinds of layers; equal for models that differ only in width.
        signature: One sample and the model's output: `image float32 (28, 28, 1) → (10)`.
        machines: Number of machines that trained; several hosts may share one.
    """

    parameters: int
    macs_per_sample: int | None
    macs_source: str
    optimizer: str
    train_samples: int
    device_name: str
    backend_version: str
    initial_loss: float
    parameters_moved: bool
    jit: bool = False
    float32_math: str | None = None
    parameter_bytes: int | None = None
    optimizer_bytes: int | None = None
    activation_bytes_per_sample: int | None = None
    layout: str | None = None
    signature: str | None = None
    machines: int = 1
