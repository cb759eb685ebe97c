"""What is trained, and how a run measures it."""

from dataclasses import dataclass

PROTOCOL_VERSION = 1
DEVICES = ("cpu", "gpu")


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
        levers: `name=setting` of what else is set otherwise than usual, sorted: see
            `workloads.levers`. Those that a case has a field for are not among them.
        replicas: Devices that train on a part of each batch, alike; on a CPU logical ones.
        hosts: Over how many hosts they are spread, alike.
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
    levers: tuple[str, ...] = ()
    replicas: int = 1
    hosts: int = 1

    def setting(self, lever: str) -> str | None:
        """What a lever is set to; None where it is left alone."""
        return dict(text.split("=", 1) for text in self.levers).get(lever)

    @property
    def feed(self) -> str:
        """How `fit` gets its batches."""
        return self.setting("feed") or "arrays"

    @property
    def steps_per_execution(self) -> int:
        """Steps that a call of the train function makes."""
        return int(self.setting("steps_per_execution") or 1)

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
        if self.replicas > 1:
            parts.append(f"x{self.replicas}")
        if self.hosts > 1:
            parts.append(f"h{self.hosts}")
        parts += self.levers
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


def comparison_key(case: Case, reference: Case) -> str:
    """Name a comparison; equal comparisons have equal names."""
    return f"{case.id}~{reference.id}"
