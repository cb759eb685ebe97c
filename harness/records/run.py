"""A run, and the machine it was measured on."""

from dataclasses import dataclass, field

from harness.records.case import Protocol
from harness.records.comparison import Ladder, Outcome
from harness.records.search import Search, Tuning
from harness.records.training import Training

SCHEMA = 2
READABLE_SCHEMAS = (1, SCHEMA)  # 1 has one dict per round, 2 has columns


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU that cases are trained on.

    Attributes:
        name: NVML's name.
        uuid: Of the device or the MIG instance.
        pci_bus_id: Kept as evidence: no table shows it.
        driver: Version of the driver.
        cuda: Newest CUDA version that the driver supports.
        memory_bytes: Total device memory.
        chosen_by: How the GPU was chosen among those of the machine.
        refused: Why NVML does not give a value, by its name.
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
        memory_limit_bytes: Of the cgroup; kept as evidence: no table shows it.
        commit: Commit of the current folder's repository, and whether tracked files differ.
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
        outcomes: Comparisons, measured or failed, and failed trainings.
        trainings: Full trainings, epoch by epoch.
        ladders: Comparisons that lead from one case to another.
        target_accuracy: Accuracy that trainings are timed to; None without trainings.
        searches: Searches for batch sizes.
        command: What the user typed; None if unknown.
        tunings: Settings that were tried on a case.
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
    tunings: tuple[Tuning, ...] = ()
    schema: int = SCHEMA
