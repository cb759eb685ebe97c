"""Every value that crosses a process or reaches the disk.

SI units, the unit in the name. Observations only: what can be derived from
them is derived in `harness.analyze`. A missing value is None.
"""

import functools
import sys
import types
import typing
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, Literal

T = typing.TypeVar("T")

SCHEMA = 2
READABLE_SCHEMAS = (1, SCHEMA)  # 1 has a dict a round where 2 has columns
PROTOCOL_VERSION = 1

DEVICES = ("cpu", "gpu")

Role = Literal["case", "reference"]
FailureKind = Literal["oom", "killed", "timeout", "unsupported", "diverged", "error", "interrupted"]


@dataclass(frozen=True, slots=True)
class Case:
    """What is trained, and on what.

    Attributes:
        variant: A bundled name, `file.py:build`, `package.module:build` or
            `keras.applications:NAME`.
        dataset: `mnist`, `digits`, `synthetic`, `fitted` (made to fit the model), the path of an
            `.npz` or `file.py:function`.
        batch_size: Samples a step.
        backend: The Keras backend.
        device: `cpu` or `gpu`.
        threads: CPU threads that the worker may use.
        optimizer: A Keras optimizer name instead of the variant's own.
        precision: A Keras dtype policy.
        jit: Whether the train function is compiled: by XLA, with Torch by Inductor.
        seed: Seed of weights, dropout and data order.
        loss: A Keras loss by name instead of the variant's own, or where it has none.
        input_shape: Of one sample, where the variant leaves it open.
    """

    variant: str
    dataset: str
    batch_size: int
    backend: str = "tensorflow"
    device: str = "cpu"
    threads: int = 1
    optimizer: str | None = None
    precision: str = "float32"
    jit: bool = False
    seed: int = 0
    loss: str | None = None
    input_shape: tuple[int, ...] | None = None

    @property
    def id(self) -> str:
        """A readable, stable name; equal cases have equal names."""
        parts = [
            self.variant,
            self.dataset,
            f"b{self.batch_size}",
            self.backend,
            self.device,
            f"t{self.threads}",
        ]
        if self.optimizer:
            parts.append(self.optimizer)
        if self.loss:
            parts.append(self.loss)
        if self.input_shape:
            parts.append("x".join(map(str, self.input_shape)))
        if self.precision != "float32":
            parts.append(self.precision)
        if self.jit:
            parts.append("jit")
        if self.seed:
            parts.append(f"s{self.seed}")
        return "-".join(parts)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a run measures; the same for all of its cases.

    Attributes:
        effort: `quick`, `default` or `thorough`.
        blocks: Pairs of fresh workers a comparison.
        block_seconds: Timed rounds a block, about; sets the number of pairs.
        round_seconds: Length of a round, about; sets the steps of a round.
        gpu_round_seconds: The same where a GPU is used.
        min_pairs: Fewest pairs a block.
        max_pairs: Most pairs a block.
        steps: Exactly so many steps a round, or None to choose once a case.
        fit_seconds: Length of the timed `fit`, about.
        warm_up_seconds: Longest warm-up after the first step.
        cool_down_seconds: Longest pause before a worker on a GPU that is too hot.
        timeout_seconds: Longest silence of a worker.
        version: Raised whenever the meaning of a time changes.
    """

    effort: str
    blocks: int
    block_seconds: float
    round_seconds: float
    fit_seconds: float
    warm_up_seconds: float
    min_pairs: int = 3
    max_pairs: int = 24
    gpu_round_seconds: float = 1.0
    cool_down_seconds: float = 60.0
    steps: int | None = None
    timeout_seconds: float = 300.0
    version: int = PROTOCOL_VERSION


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
        first_step_seconds: From its begin to the begin of the second step: the first step and
            what an epoch pays once, the start of the input pipeline. All of it for one step.
        whole_epoch: Whether it covered the training set once.
    """

    steps: int
    samples: int
    seconds: float
    first_step_seconds: float
    whole_epoch: bool


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
        first_step_seconds: Trace, compile and run of step one.
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


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Measurement:
    """Everything observed of one case against one reference.

    Attributes:
        steps: Steps of a round of the case.
        reference_steps: Steps of a round of the reference.
        pairs: Rounds of the case a block.
        interleaved: Whether the two workers of a block took turns round by round, or, where a
            GPU is used, one worker after the other.
    """

    case: Case
    reference: Case
    facts: ModelFacts
    reference_facts: ModelFacts
    steps: int
    reference_steps: int
    pairs: int
    rounds: tuple[Round, ...]
    starts: tuple[Start, ...]
    wall_seconds: float
    interleaved: bool = True

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that could not be measured: a result, not an exception."""

    case: Case
    reference: Case
    kind: FailureKind
    message: str
    log_tail: str = ""

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)


Outcome = Measurement | Failure


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training in full: what is trained, how long, and what its accuracy is compared with.

    Attributes:
        reference_epochs: Those of the training compared with; None for any.
    """

    case: Case
    epochs: int
    reference: Case
    reference_epochs: int | None = None

    @property
    def key(self) -> str:
        """Which training this is."""
        return f"{self.case.id}-e{self.epochs}"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of a training in full.

    Attributes:
        epoch: Its number, from 1.
        seconds: Training; that of epoch 1 holds trace and compile, none holds the validation.
        validation_seconds: Validation after it.
        loss: Mean over the epoch, while the weights changed.
        accuracy: Likewise; None when the model has no such metric.
        val_loss: On the test set, after the epoch; None without a test set.
        val_accuracy: Likewise.
        steal_seconds: CPU time the hypervisor gave to others meanwhile.
        other_cpu_seconds: CPU time of all other processes meanwhile.
    """

    epoch: int
    seconds: float
    validation_seconds: float
    loss: float
    accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    steal_seconds: float | None = None
    other_cpu_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test sample that a trained model gets wrong.

    Attributes:
        sample: Its index in the test set.
        label: Its class.
        predicted: The class that the model gives it.
        confidence: The probability that the model gives that class.
        pixels: A gray image as base64 of zlib of bytes, row by row; None for other samples.
    """

    sample: int
    label: int
    predicted: int
    confidence: float
    pixels: str | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """Everything observed of one training in full.

    Attributes:
        test_samples: Size of the test set.
        mistakes: Those of the finished model on the test set; None when it is no classifier
            or there is no test set.
        image_shape: Height and width of the pixels of mistakes.
        interleaved: Whether it took turns, epoch by epoch, with the others of its seed.
    """

    recipe: Recipe
    parameters: int
    optimizer: str
    device_name: str
    train_samples: int
    test_samples: int
    epochs: tuple[Epoch, ...]
    mistakes: tuple[Mistake, ...] | None
    image_shape: tuple[int, ...] | None = None
    interleaved: bool = True

    @property
    def key(self) -> str:
        """Which training this is."""
        return self.recipe.key


@dataclass(frozen=True, slots=True)
class Rung:
    """One change of a ladder: a case against the one before.

    Attributes:
        change: What changed, in a few words.
        case: With the change.
        reference: Without it.
    """

    change: str
    case: Case
    reference: Case

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)


@dataclass(frozen=True, slots=True)
class Ladder:
    """One way from a case to another, a change at a time.

    Attributes:
        name: Which order of the changes this is.
        rungs: One a change; the first one's reference is where it begins.
    """

    name: str
    rungs: tuple[Rung, ...]

    @property
    def key(self) -> str:
        """Which ladder this is."""
        return f"{self.name}-{self.rungs[0].reference.id}"


@dataclass(frozen=True, slots=True)
class Probe:
    """A batch size that a search tried.

    Attributes:
        status: `fits`, or how its worker failed.
        step_seconds: A step of the warm-up, about.
        peak_bytes: Memory at most: resident set on a CPU, device memory on a GPU. Of a size that
            failed how far it got.
        message: Why it failed; empty when it fits.
    """

    batch_size: int
    status: Literal["fits"] | FailureKind
    step_seconds: float | None = None
    peak_bytes: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """The batch sizes that were tried for a case, doubling until something stopped it.

    Attributes:
        case: What was tried; its own batch size is the first.
        probes: In the order of their size.
        memory_bytes: What there was; None where it is not known.
        ended: What stopped it.
        chosen: The sizes worth measuring.
    """

    case: Case
    probes: tuple[Probe, ...]
    memory_bytes: int | None
    ended: str
    chosen: tuple[int, ...]

    @property
    def key(self) -> str:
        """Which search this is."""
        return self.case.id


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU that cases are trained on.

    Attributes:
        name: As NVML has it.
        uuid: Of the device, or of the MIG instance.
        pci_bus_id: Where it is plugged in.
        driver: Version of the driver.
        cuda: Newest CUDA version that the driver supports.
        memory_bytes: Device memory in all.
        chosen_by: How it was chosen among those of the machine.
        refused: What NVML does not tell of it, with its reason.
    """

    name: str
    uuid: str | None
    pci_bus_id: str | None
    driver: str | None
    cuda: str | None
    memory_bytes: int | None
    chosen_by: str
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run was measured.

    Attributes:
        commit: Of the current folder's repository, and whether files in it were changed since.
    """

    id: str
    cpu: str
    cpus: int
    usable_cpus: int
    memory_bytes: int
    memory_limit_bytes: int | None
    os: str
    python: str
    gpu: str | None = None
    gpu_reason: str | None = None
    gpu_facts: Gpu | None = None
    libraries: dict[str, str] = field(default_factory=dict)
    commit: str | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Run:
    """Everything that one invocation measured on one machine.

    Attributes:
        outcomes: Comparisons, measured or failed; a training that failed is among them.
        trainings: In full, epoch by epoch.
        ladders: Comparisons that lead from one case to another.
        target_accuracy: What trainings are timed to; None when there are none.
        searches: Of batch sizes.
        command: What was typed to measure it; None where that is not known.
    """

    id: str
    started_at: str
    machine: Machine
    protocol: Protocol
    outcomes: tuple[Outcome, ...]
    wall_seconds: float = 0.0
    trainings: tuple[Training, ...] = ()
    ladders: tuple[Ladder, ...] = ()
    target_accuracy: float | None = None
    searches: tuple[Search, ...] = ()
    command: str | None = None
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval; low and high are None when n < 3."""

    value: float
    low: float | None
    high: float | None
    n: int
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `doctor` has found out about this machine.

    Attributes:
        subject: What it is about: `CPU`, `GPU` and so on.
        state: `ok`; `note`, something to know; `missing`, not installed; `problem`, something
            that spoils a measurement.
        text: What was found.
        advice: What to do about it; empty when there is nothing to do.
    """

    subject: str
    state: Literal["ok", "note", "missing", "problem"]
    text: str
    advice: str = ""


def comparison_key(case: Case, reference: Case) -> str:
    """Name a comparison; equal comparisons have equal names."""
    return f"{case.id}~{reference.id}"


_UNION_TAGS: dict[str, type] = {"measurement": Measurement, "failure": Failure}


def to_json(record: Any) -> Any:
    """Turn a record into dicts, lists and plain values."""
    if is_dataclass(record) and not isinstance(record, type):
        data = {f.name: to_json(getattr(record, f.name)) for f in fields(record)}
        for tag, kind in _UNION_TAGS.items():
            if type(record) is kind:
                return {"type": tag, **data}
        return data
    if isinstance(record, (list, tuple)):
        return [to_json(item) for item in record]
    if isinstance(record, dict):
        return {key: to_json(value) for key, value in record.items()}
    return record


def to_columns(kind: type, records: Sequence[Any]) -> dict[str, list[Any]]:
    """Turn records of one kind into a list of plain values by each field's name.

    It is half as long as a dict a record, and sooner read.
    """
    return {f.name: [to_json(getattr(record, f.name)) for record in records] for f in fields(kind)}


def from_json(kind: type[T], data: Any) -> T:
    """Rebuild a record from `to_json`.

    A tuple of records may also come as columns, a list of values by each field's name.

    Raises:
        ValueError: a field is missing or not of its type's shape.
    """
    try:
        return typing.cast("T", _decoder(typing.cast("Any", kind))(data))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a {getattr(kind, '__name__', kind)}: {error}") from error


Decoder = Callable[[Any], Any]


@functools.cache
def _decoder(kind: Any) -> Decoder:
    """What rebuilds a value of that type; type hints are read once a type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        decoders = [_decoder(option) for option in arguments if option is not type(None)]
        plain = all(decode is _as_it_is for decode in decoders)
        return _as_it_is if plain else _union(decoders[0])
    if origin is tuple:
        return _tuple(arguments[0])
    if origin is Literal:
        return sys.intern  # one object for all of the many that are equal
    return _record(kind) if is_dataclass(kind) else _as_it_is


def _as_it_is(data: Any) -> Any:
    return data


def _union(decode: Decoder) -> Decoder:
    def union(data: Any) -> Any:
        if isinstance(data, dict) and "type" in data:
            return _decoder(_UNION_TAGS[data["type"]])(data)
        return None if data is None else decode(data)

    return union


def _tuple(kind: Any) -> Decoder:
    decode = _decoder(kind)
    if decode is _as_it_is:
        return tuple
    rows = _rows(kind) if is_dataclass(kind) else None

    def items(data: Any) -> Any:
        return tuple(rows(data) if rows and isinstance(data, dict) else map(decode, data))

    return items


def _record(kind: Any) -> Decoder:
    decoders = _decoders(kind)

    def record(data: Any) -> Any:
        return kind(**{name: decoders[name](data[name]) for name in data if name in decoders})

    return record


def _rows(kind: Any) -> Callable[[dict[str, Any]], list[Any]]:
    """Make records from columns; a column that is not there is one of defaults."""
    decoders = _decoders(kind)
    defaults = {f.name: f.default for f in fields(kind) if f.default is not MISSING}
    # Slots are filled a column at a time: half the time of a frozen record's own constructor.
    fill = {name: getattr(kind, name).__set__ for name in decoders}

    def rows(data: dict[str, Any]) -> list[Any]:
        count = len(next(iter(data.values()), ()))
        records = [object.__new__(kind) for _ in range(count)]
        absent = {name: [default] * count for name, default in defaults.items()}
        columns = {**absent, **data}
        for name, decode in decoders.items():
            if len(columns[name]) != count:
                raise ValueError(f"{len(columns[name])} values of {name}, not {count}")
            values = columns[name] if decode is _as_it_is else map(decode, columns[name])
            deque(map(fill[name], records, values), maxlen=0)
        return records

    return rows


def _decoders(kind: Any) -> dict[str, Decoder]:
    """What rebuilds each field."""
    hints = typing.get_type_hints(kind)
    return {f.name: _decoder(hints[f.name]) for f in fields(kind)}
