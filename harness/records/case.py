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
        batch_size: Samples per step.
        device: `cpu` or `gpu`.
        threads: CPU threads that the worker may use.
        optimizer: A Keras optimizer by name; None for the variant's own.
        precision: A Keras dtype policy.
        jit: Whether the train function is compiled: by XLA, with Torch by Inductor.
        seed: Seed of weights, dropout and data order.
        loss: A Keras loss by name; None for the variant's own.
        input_shape: Shape of one sample, if the variant leaves it open.
        levers: Other changed settings as `name=setting`, sorted: see `workloads.levers`.
            Settings with a field of their own are not among them.
        replicas: Devices that share each batch equally; on a CPU logical devices.
        hosts: Hosts that share the devices equally.
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
