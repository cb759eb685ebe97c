"""A run, and the machine it was measured on."""

from dataclasses import dataclass, field

from harness.records.case import Protocol
from harness.records.comparison import Ladder, Outcome
from harness.records.search import Search
from harness.records.training import Training
from harness.records.tuning import Tuning

SCHEMA = 2
READABLE_SCHEMAS = (1, SCHEMA)  # 1 has a dict a round where 2 has columns


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
        tunings: Levers that were tried on a case.
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
