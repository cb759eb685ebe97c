"""What is trained, and how a run measures it."""

import dataclasses
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROTOCOL_VERSION = 1
DEVICES = ("cpu", "gpu")


def _written(in_id: str, in_name: str = "{}") -> Mapping[str, str]:
    """How the value of a field is written in an id, and beside a model's name."""
    return {"id": in_id, "name": in_name}


@dataclass(frozen=True, slots=True)
class Case:
    """What is trained, and on what.

    Attributes:
        variant: A bundled name, `file.py:build`, `package.module:build` or
            `keras.applications:NAME`.
        dataset: `mnist`, `digits`, `synthetic`, `fitted` (random data of the model's shapes), the
            path of an `.npz` or `file.py:function`.
        batch_size: Samples per step.
        backend: The Keras backend.
        device: `cpu` or `gpu`.
        threads: CPU threads that the worker may use.
        optimizer: A Keras optimizer name instead of the variant's own.
        loss: A Keras loss by name instead of the variant's own, or where it has none.
        input_shape: Of one sample, where the variant leaves it open.
        precision: A Keras dtype policy.
        jit: Whether the train function is compiled: by XLA, with Torch by Inductor.
        seed: Seed of weights, dropout and data order.
        replicas: Devices that each train on an equal part of a batch; logical ones on a CPU.
        hosts: Number of hosts over which the devices are spread evenly.
        levers: `name=value` of every other setting, sorted: see `workloads.levers`. A setting
            that has a field of its own is not among them.
    """

    variant: str = field(metadata=_written("{}"))
    dataset: str = field(metadata=_written("{}"))
    batch_size: int = field(metadata=_written("b{}", "batch {}"))
    backend: str = field(default="tensorflow", metadata=_written("{}"))
    device: str = field(default="cpu", metadata=_written("{}"))
    threads: int = field(default=1, metadata=_written("t{}", "on {} threads"))
    optimizer: str | None = field(default=None, metadata=_written("{}"))
    loss: str | None = field(default=None, metadata=_written("{}"))
    input_shape: tuple[int, ...] | None = field(default=None, metadata=_written("{}"))
    precision: str = field(default="float32", metadata=_written("{}"))
    jit: bool = field(default=False, metadata=_written("jit", "jit"))
    seed: int = field(default=0, metadata=_written("s{}", "seed {}"))
    replicas: int = field(default=1, metadata=_written("x{}", "on {} devices"))
    hosts: int = field(default=1, metadata=_written("h{}", "of {} hosts"))
    levers: tuple[str, ...] = field(default=(), metadata=_written("{}"))

    def setting(self, lever: str) -> str | None:
        """Return what a lever is set to; None if it is unchanged."""
        return dict(text.split("=", 1) for text in self.levers).get(lever)

    @property
    def feed(self) -> str:
        """How `fit` gets its batches."""
        return self.setting("feed") or "arrays"

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
        value, written = getattr(self, name), _NAMES[name]
        text = written.format(_joined(value, " + ") if isinstance(value, tuple) else value)
        return text[:-1] if text.startswith("on 1 ") else text


def _joined(values: tuple[Any, ...], between: str) -> str:
    return ("x" if all(isinstance(v, int) for v in values) else between).join(map(str, values))


_FIELDS = dataclasses.fields(Case)
_values = operator.attrgetter(*(f.name for f in _FIELDS))  # an id is written very often
_IN_ID = tuple(f.metadata["id"] for f in _FIELDS)
_NAMES: dict[str, str] = {f.name: f.metadata["name"] for f in _FIELDS}
_ALWAYS_IN_ID = {"variant", "dataset", "batch_size", "backend", "device", "threads"}
_LEFT_OUT = tuple(object() if f.name in _ALWAYS_IN_ID else f.default for f in _FIELDS)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a run measures; the same for all of its cases.

    Attributes:
        effort: `quick`, `default` or `thorough`.
        blocks: Pairs of fresh workers per comparison.
        block_seconds: Approximate time of the rounds per block; sets the number of pairs.
        round_seconds: Approximate length of a round; sets the steps per round.
        gpu_round_seconds: The same on a GPU.
        min_pairs: Fewest pairs per block.
        max_pairs: Most pairs per block.
        steps: Exact number of steps per round; None to choose it once per case.
        fit_seconds: Approximate length of the timed `fit`.
        warm_up_seconds: Longest warm-up after the first step.
        cool_down_seconds: Longest wait for a hot GPU.
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


def comparison_key(case: Case, reference: Case) -> str:
    """Name a comparison; equal comparisons have equal names."""
    return f"{case.id}~{reference.id}"
