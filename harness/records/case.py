"""What is trained, and how a run measures it."""

import dataclasses
import operator
from dataclasses import dataclass
from typing import Any

PROTOCOL_VERSION = 2
DEVICES = ("cpu", "gpu")

Platform = tuple[str, str, int, str]  # framework, device, threads and precision


@dataclass(frozen=True, slots=True)
class Case:
    """What is trained, and on what."""

    # A bundled name, `file.py:build`, `package.module:build` or `keras.applications:NAME`.
    variant: str
    # `mnist`, `digits`, `synthetic`, `fitted` (random data of the model's shapes), the path of an
    # `.npz` or `file.py:function`.
    dataset: str
    batch_size: int
    backend: str = "tensorflow"
    device: str = "cpu"
    threads: int = 1
    optimizer: str | None = None  # a Keras optimizer instead of the variant's own
    loss: str | None = None  # a Keras loss instead of the variant's own, or where it has none
    input_shape: tuple[int, ...] | None = None  # of one sample, where the variant leaves it open
    precision: str = "float32"  # a Keras dtype policy
    jit: bool = False  # whether the train function is compiled: by XLA, with Torch by Inductor
    seed: int = 0  # of weights, dropout and data order
    replicas: int = 1  # devices that each train on an equal part of a batch; logical ones on a CPU
    hosts: int = 1  # over which the devices are spread evenly
    # `name=value` of every setting that has no field of its own, sorted: see `workloads.levers`.
    levers: tuple[str, ...] = ()
    version: str = ""  # the name of another version of files, interpreter or environment

    def setting(self, lever: str) -> str | None:
        """Return what a lever is set to; None if it is unchanged."""
        return dict(text.split("=", 1) for text in self.levers).get(lever)

    @property
    def platform(self) -> Platform:
        """What decides the rates of products and copies that a machine reaches."""
        return self.backend, self.device, self.threads, self.precision

    @property
    def feed(self) -> str | None:
        """How `fit` gets its batches; None: as the data comes, in arrays or from a pipeline."""
        return self.setting("feed")

    @property
    def steps_per_execution(self) -> int:
        """Steps per call of the train function."""
        return int(self.setting("steps_per_execution") or 1)

    @property
    def id(self) -> str:
        """A readable, stable name; equal cases have equal names."""
        parts = [
            written.format(value if type(value) is not tuple else _joined(value, "-"))
            for value, written, usual in zip(_values(self), _IN_ID, _LEFT_OUT, strict=True)
            if value not in (usual, ())
        ]
        return "-".join(parts)

    def words(self, name: str) -> str:
        """Write the value of a field as it stands beside a model's name: `on 2 threads`."""
        value = getattr(self, name)
        value = _joined(value, " + ") if isinstance(value, tuple) else value
        text = _WRITTEN.get(name, _AS_IT_IS)[1].format(value)
        return text[:-1] if text.startswith("on 1 ") else text


def _joined(values: tuple[Any, ...], between: str) -> str:
    return ("x" if all(isinstance(v, int) for v in values) else between).join(map(str, values))


_WRITTEN = {  # in an id, and beside a model's name; what is not here, as it is
    "batch_size": ("b{}", "batch {}"),
    "threads": ("t{}", "on {} threads"),
    "jit": ("jit", "jit"),
    "seed": ("s{}", "seed {}"),
    "replicas": ("x{}", "on {} devices"),
    "hosts": ("h{}", "of {} hosts"),
    "version": ("at {}", "at {}"),
}
_AS_IT_IS = ("{}", "{}")
_FIELDS = dataclasses.fields(Case)
_values = operator.attrgetter(*(f.name for f in _FIELDS))  # an id is written very often
_IN_ID = tuple(_WRITTEN.get(f.name, _AS_IT_IS)[0] for f in _FIELDS)
_ALWAYS_IN_ID = {"variant", "dataset", "batch_size", "backend", "device", "threads"}
_LEFT_OUT = tuple(object() if f.name in _ALWAYS_IN_ID else f.default for f in _FIELDS)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a run measures; the same for all of its cases."""

    effort: str  # `quick`, `default` or `thorough`
    blocks: int  # of fresh workers, per comparison
    block_seconds: float  # approximate time of the rounds per block; sets the number of pairs
    round_seconds: float  # approximate length of a round; sets the steps per round
    fit_seconds: float  # approximate length of the timed `fit`
    warm_up_seconds: float  # longest warm-up after the first step
    min_pairs: int = 3  # per block
    max_pairs: int = 24
    gpu_round_seconds: float = 1.0  # `round_seconds` on a GPU
    cool_down_seconds: float = 60.0  # longest wait for a hot GPU
    steps: int | None = None  # exact number per round; None to choose it once per case
    timeout_seconds: float = 300.0  # longest silence of a worker
    version: int = PROTOCOL_VERSION  # raised whenever the meaning of a time changes
    looks: tuple[int, ...] = ()  # numbers of blocks after which decided comparisons end


def comparison_key(case: Case, reference: Case) -> str:
    """Name a comparison; equal comparisons have equal names."""
    return f"{case.id}~{reference.id}"


class Compared:
    """A record of a case against a reference."""

    __slots__ = ()
    case: Case
    reference: Case

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)
