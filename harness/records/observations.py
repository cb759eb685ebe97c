"""What was observed of a worker and its machine: rounds, start, memory, utilization, layers.

Fields called evidence are recorded so that a result can be checked later; no table shows them.
"""

from dataclasses import dataclass, field
from typing import Literal

from harness.records.case import Case
from harness.records.counters import Counters

Role = Literal["case", "reference", "second"]  # second: another worker of the reference


@dataclass(frozen=True, slots=True)
class Round(Counters):
    """One timed run of whole steps, ended by a device sync, and what was counted around it."""

    block: int  # from 0
    pair: int  # number of its turn in the block, from 0
    role: Role
    position: int  # place in its turn, from 0
    steps: int
    seconds: float  # by the worker's monotonic clock
    loss: float  # mean over its steps


@dataclass(frozen=True, slots=True)
class Fit:
    """One timed epoch of a `Model.fit`."""

    steps: int
    samples: int
    seconds: float
    # From the begin of the epoch to that of the second step, or of the second execution of several:
    # includes the start of the input pipeline. All of `seconds` if there is only one.
    first_step_seconds: float
    whole_epoch: bool  # it covered the training set once
    first_steps: int = 1  # steps in `first_step_seconds`: those of one execution
    feed: str = "arrays"  # how it got its batches: a setting of the lever, or a kind of pipeline

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

    Utilization is the share of the driver's last sample period (1/6 s to 1 s) with a kernel
    running, which is not efficiency; that of the controller the share in which device memory was
    read or written.
    """

    utilization_percent: float | None = None
    controller_percent: float | None = None  # evidence
    memory_bytes: int | None = None  # used by all processes
    power_watts: float | None = None  # of the board, averaged by the driver
    energy_joules: float | None = None  # since the driver was loaded
    temperature_celsius: float | None = None
    sm_clock_mhz: float | None = None  # of the multiprocessors
    memory_clock_mhz: float | None = None  # evidence
    throttle_reasons: int | None = None  # NVML's bit mask of clock event reasons


@dataclass(frozen=True, slots=True)
class GpuTrace:
    """`GpuReading`s during the rounds of one worker, as columns of equal length."""

    seconds: tuple[float, ...] = ()  # since the rounds began
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
    """Readings of the GPU during the rounds of one worker."""

    trace: GpuTrace
    idle_memory_bytes: int | None  # used before the worker began
    foreign_processes: int | None  # most of others at once; None if NVML does not list them
    refused: dict[str, str] = field(default_factory=dict)  # why a reading is missing, by its name


@dataclass(frozen=True, slots=True)
class Usage:
    """Readings of one worker from outside, during its rounds."""

    readings: int
    watched_seconds: float  # from the first reading to the last
    watching_cpu_seconds: float  # CPU time of the parent for reading
    peak_rss_bytes: int | None = None
    gpu: GpuUsage | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """One fresh worker: its start before the rounds, and its totals after them.

    The rates of products and copies are the best by the same framework on the same threads and
    device. They and the sums over replicas are taken after the rounds.
    """

    role: Role
    block: int
    ready_seconds: float  # from the start of the process to the end of the first step
    data_seconds: float  # loading the dataset (evidence)
    build_seconds: float  # building and compiling the model object (evidence)
    first_step_seconds: float  # trace, compile and run; of the first execution of several steps
    import_rss_bytes: int  # VmHWM before data and model
    build_rss_bytes: int  # VmHWM with data and model
    warm_up_steps: int  # untimed steps after the first (evidence)
    steady: bool  # the last two times per untimed step agreed within 10 %
    peak_rss_bytes: int  # VmHWM of first step, warm-up and rounds, reset before them; not of `fit`
    traces: int  # of the step during timed rounds; should be 0
    fit: Fit | None = None
    gpu_memory_bytes: int | None = None  # peak of the framework's allocator
    gpu_memory_source: str = ""  # what that peak covers, or why it is unknown
    cool_down_seconds: float = 0.0  # wait before the worker for a GPU that was hot
    usage: Usage | None = None
    product_flops: float | None = None  # floating-point operations per second of a matrix product
    product_size: int | None = None  # rows and columns of its matrices
    # Bytes read plus written by an operation that reads one array and writes another.
    copy_bytes_per_second: float | None = None
    copy_bytes: int | None = None  # size of each of the two arrays (evidence)
    # Mean loss of the second half of the first `early_steps`. The two sides of a block start from
    # the same weights, and blocks from different ones.
    early_loss: float | None = None
    early_steps: int | None = None  # includes the first step
    # Median time to sum arrays like the gradients over all replicas, with nothing else running.
    allreduce_seconds: float | None = None
    allreduce_bytes: int | None = None  # size of one replica's arrays
    # Number of the block among those of the run, and place in the order of its starts. Comparisons
    # of one group share workers: equal numbers and places are the same worker. None in runs of
    # protocol 1, where no worker is shared.
    group_block: int | None = None
    place: int | None = None
    workers: int | None = None  # alive at once
    # Whether the parameters moved by the end of the rounds; None where the first step moved them.
    moved_later: bool | None = None
    spawned: bool = False  # in a new interpreter, since the import had initialized CUDA
    program: str | None = None  # digest of the compiled step; None where nothing tells it


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What changed on the machine during one block, or one epoch of a full training."""

    block: int  # index of the block, or number of the epoch
    cpus_before: str  # numbers of the usable CPUs, and the cgroup's quota, at its begin
    cpus_after: str  # the same at its end
    other_runs: int  # of this harness on the machine
    suspended_seconds: float | None  # the machine slept; None without a clock that tells
    clock_step_seconds: float | None  # of the wall clock against the time since boot; likewise


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a worker reports about its model."""

    parameters: int  # all weights
    macs_per_sample: int | None  # multiply-accumulates of one forward pass, without biases
    macs_source: str  # how they were counted
    optimizer: str  # class name
    train_samples: int
    device_name: str
    backend_version: str  # for example `tensorflow 2.21.0, keras 3.15.1` (evidence)
    initial_loss: float  # of the first step
    parameters_moved: bool  # by the first execution
    jit: bool = False  # a compiler made one program of the step
    # How a GPU multiplies float32, as set: `float32`, `TF32`, or where it is which; None on a CPU.
    float32_math: str | None = None
    parameter_bytes: int | None = None
    optimizer_bytes: int | None = None  # of the optimizer's variables
    # Outputs of all layers in a forward pass, without layers that only reshape.
    activation_bytes_per_sample: int | None = None
    layout: str | None = None  # kinds of layers; equal for models that differ only in width
    signature: str | None = None  # sample and output: `image float32 (28, 28, 1) → (10)`
    machines: int = 1  # that trained; several hosts may share one
    # Name of Keras's dtype policy once the model is built: a user's file may have set it.
    policy: str | None = None
    eager: bool = False  # the model was compiled with run_eagerly: Python runs every step
    left_out_samples: int = 0  # of an epoch: they fill no batch of the size that the model fixes
    pipeline: str = ""  # that the data come from: tf.data, PyDataset, DataLoader, generator
    own_settings: tuple[str, ...] = ()  # that the user's file makes, and what became of them
    in_memory: str = ""  # why `fit` trains on the first batches in memory and not on the pipeline


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """A layer that a step calls."""

    path: str  # its name behind those of the layers that hold it: `encoder/attention/query`
    type: str  # class name
    calls: float  # per step
    parameters: int  # without those of layers within
    parameter_bytes: int
    trainable: bool
    output_shape: tuple[int | None, ...] | None  # of one sample; None for several outputs
    macs_per_sample: int | None  # multiply-accumulates of a forward pass; None if there are none
    input_bytes_per_sample: int | None  # None if a shape is open
    activation_bytes_per_sample: int | None  # of its outputs, if not those of layers within


@dataclass(frozen=True, slots=True)
class Spent:
    """Time of the operations of one kind, per step; where threads overlap each has its share."""

    # Place of the layer among the layers, or `optimizer`, `loss`, `metrics`, `input`.
    row: str | None
    backward: bool
    operation: str
    seconds: float
    count: float


@dataclass(frozen=True, slots=True)
class Traced:
    """A worker that was traced for some steps after its rounds."""

    step_seconds: float  # of its rounds, without tracing
    traced_seconds: float  # per step, while it was traced
    steps: int  # that were traced
    spent: tuple[Spent, ...]

    @property
    def operations_seconds(self) -> float:
        """Seconds per step in which any operation was executed."""
        return sum(one.seconds for one in self.spent)


@dataclass(frozen=True, slots=True)
class Peak:
    """Memory of a worker that trained at some batch size; see `Start`."""

    batch_size: int
    import_rss_bytes: int
    build_rss_bytes: int
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a case: fresh workers, each traced after its rounds."""

    case: Case
    facts: ModelFacts
    layers: tuple[LayerFacts, ...]  # in the order of their first calls
    workers: tuple[Traced, ...]
    product_flops: float | None  # see `Start`; the best of all workers
    copy_bytes_per_second: float | None
    trace: str  # file of the operations of the first worker, in the folder of the run
    wall_seconds: float
    # Of these workers, and of one with another batch size where the model allows that.
    peaks: tuple[Peak, ...] = ()
    memory_bytes: int | None = None  # a limit that was asked about

    @property
    def key(self) -> str:
        """The key under which a run keeps the profile."""
        return self.case.id
