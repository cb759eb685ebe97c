"""What a worker and its machine showed: rounds, start, memory, utilization, the model's sizes."""

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["case", "reference"]


@dataclass(frozen=True, slots=True)
class Round:
    """One timed run of whole steps, ended by a device sync.

    Attributes:
        block: Index of the block, from 0.
        pair: Index of the pair within the block, from 0.
        role: Which side of the pair this is.
        position: 0 if it ran first in its pair, else 1.
        steps: Training steps.
        seconds: The worker's own monotonic clock.
        loss: Mean loss of its steps.
        cpu_seconds: CPU time of the worker, all threads.
        involuntary_switches: Times the worker was taken off its CPU.
        minor_faults: Page faults without disk.
        major_faults: Page faults with disk.
        steal_seconds: CPU time the hypervisor gave to others.
        other_cpu_seconds: CPU time of all other processes.
        throttled_seconds: Time the cgroup's quota stopped this process, if known.
    """

    block: int
    pair: int
    role: Role
    position: int
    steps: int
    seconds: float
    loss: float
    cpu_seconds: float
    involuntary_switches: int
    minor_faults: int
    major_faults: int
    steal_seconds: float | None = None
    other_cpu_seconds: float | None = None
    throttled_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """One timed epoch of a `Model.fit` over arrays in memory.

    Attributes:
        steps: Steps of the epoch.
        samples: Samples of the epoch.
        seconds: Its wall time.
        first_step_seconds: From its begin to the begin of the second step, or execution of
            several: the first one and what an epoch pays once, the start of the input pipeline.
            All of it where there is but one.
        whole_epoch: Whether it covered the training set once.
        first_steps: Steps that `first_step_seconds` is of: those of one execution.
    """

    steps: int
    samples: int
    seconds: float
    first_step_seconds: float
    whole_epoch: bool
    first_steps: int = 1

    @property
    def later_sample_seconds(self) -> float:
        """Seconds a sample after the first execution; of the only one if there is but one."""
        if self.steps <= self.first_steps:
            return self.seconds / self.samples
        later = self.samples * (self.steps - self.first_steps) / self.steps
        return (self.seconds - self.first_step_seconds) / later


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What NVML says at one moment; None where it says nothing.

    Attributes:
        utilization_percent: Share of the driver's last sample period (1/6 s to 1 s) with a
            kernel running; not efficiency.
        controller_percent: Share of that period in which device memory was read or written;
            not how full it is.
        memory_bytes: Device memory in use, by all processes.
        power_watts: Board power, as the driver averages it.
        energy_joules: Energy since the driver was loaded.
        temperature_celsius: Of the chip.
        sm_clock_mhz: Clock of the multiprocessors.
        memory_clock_mhz: Clock of the memory.
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
    """Readings of a GPU while the rounds of one worker ran: columns of equal length.

    Attributes:
        seconds: When, since the rounds began.

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
    """What was read of the GPU while the rounds of one worker ran.

    Attributes:
        trace: Every reading.
        idle_memory_bytes: Device memory in use before the worker began.
        foreign_processes: Most processes of others seen on the GPU at once; None when NVML
            does not list them.
        refused: Why a reading is missing, by its name.
    """

    trace: GpuTrace
    idle_memory_bytes: int | None
    foreign_processes: int | None
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was read of one worker from outside, while its rounds ran.

    Attributes:
        readings: How many there were.
        watched_seconds: From the first to the last.
        watching_cpu_seconds: CPU time that reading cost the parent.
        peak_rss_bytes: Largest resident set among the readings.
        gpu: What was read of the GPU, for a worker that trained on it.
    """

    readings: int
    watched_seconds: float
    watching_cpu_seconds: float
    peak_rss_bytes: int | None = None
    gpu: GpuUsage | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """What one fresh worker did before its first round.

    Attributes:
        role: Which side of the pair the worker was.
        block: Index of the block.
        ready_seconds: From the start of its process to the end of the first step.
        data_seconds: Loading the dataset.
        build_seconds: Building and compiling the model object.
        first_step_seconds: Trace, compile and run of step one, or of one execution of several.
        warm_up_steps: Untimed steps after it.
        steady: Whether the last two untimed steps agreed within 10 %.
        import_rss_bytes: VmHWM before data and model.
        build_rss_bytes: VmHWM once data and model were there.
        peak_rss_bytes: VmHWM of first step, warm-up and rounds (counter reset before them);
            a `fit` comes after it.
        traces: Times the step was traced during timed rounds; should be 0.
        fit: The timed `fit` of this worker, if it did one.
        gpu_memory_bytes: The framework allocator's peak on the GPU.
        gpu_memory_source: What that peak covers, or why there is none.
        cool_down_seconds: Time waited before it for a GPU that was too hot.
        usage: What was read of the worker meanwhile.
        product_flops: Best rate of a matrix product through the same framework on the same
            threads and device, after the rounds: floating-point operations a second.
        product_size: Rows and columns of its matrices.
        copy_bytes_per_second: Best rate of an operation that reads an array and writes another,
            through the same framework on the same threads and device: bytes read and written.
        copy_bytes: Bytes of each of the two arrays.
        early_loss: Mean loss of the second half of its first `early_steps`, where the two sides
            are compared by what they learn in equal steps; in each block from other weights,
            the same ones on both sides.
        early_steps: The first step among them.
        allreduce_seconds: Median time to sum arrays like the gradients over all replicas, after the
            rounds: what they tell each other in a step, were nothing done meanwhile.
        allreduce_bytes: Of one replica's arrays.
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
    """What changed around one block, or one epoch of a training in full, from begin to end.

    Attributes:
        block: Index of the block; number of the epoch.
        cpus_before: Numbers of the CPUs that could be used, and the cgroup's quota, at its begin.
        cpus_after: The same at its end.
        other_runs: Other runs of this harness on the machine.
        suspended_seconds: How long the machine slept; None where no clock tells.
        clock_step_seconds: How far the wall clock moved against the time since boot; likewise.
    """

    block: int
    cpus_before: str
    cpus_after: str
    other_runs: int
    suspended_seconds: float | None
    clock_step_seconds: float | None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a worker knows of the model it trains.

    Attributes:
        parameters: All weights of the model.
        macs_per_sample: Multiply-accumulates of one forward pass, biases left out.
        macs_source: How they were counted.
        optimizer: Class name of the optimizer used.
        train_samples: Size of the training set.
        device_name: The device that trained.
        backend_version: For example `tensorflow 2.21.0, keras 3.15.1`.
        initial_loss: Loss of the first step.
        parameters_moved: Whether the first step changed the weights.
        jit: Whether a compiler made one program of the step.
        float32_math: How float32 is multiplied on a GPU, as set: `float32`, `TF32`, or where
            it is one and where the other; None on a CPU, where it is always float32.
        parameter_bytes: Memory of all weights.
        optimizer_bytes: Memory of the optimizer's own variables.
        activation_bytes_per_sample: What the layers put out for a sample in a forward pass,
            but for those that only reshape.
        layout: Names the kinds of layers; equal for models that differ in width alone.
        machines: On how many machines it was trained: processes may be called hosts and share one.
        signature: What a sample is and what the model makes of it: `image float32 (28, 28, 1) →
            (10)`.
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
