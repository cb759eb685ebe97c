"""A run, the machine it was measured on, and the other version that it compares with."""

from dataclasses import dataclass, field
from typing import Literal

from harness.records.case import Protocol
from harness.records.comparison import Ladder, Outcome
from harness.records.observations import Profile
from harness.records.search import Search, Tuning
from harness.records.training import Training

SCHEMA = 2
READABLE_SCHEMAS = (1, SCHEMA)  # 1 has one dict per round, 2 has columns


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU that cases are trained on."""

    name: str  # NVML's
    uuid: str | None  # of the device or the MIG instance
    pci_bus_id: str | None  # evidence: no table shows it
    driver: str | None  # its version
    cuda: str | None  # newest version that the driver supports
    memory_bytes: int | None
    chosen_by: str  # how, among the GPUs of the machine
    compute_capability: str | None = None  # `9.0`: which kernels run on it
    architecture: str | None = None  # `Hopper`: what NVML's power means
    persistence_mode: bool | None = None  # the driver stays loaded where no process uses the GPU
    is_mig: bool = False  # a part of a GPU
    locked_mhz: int | None = None  # at which the clock was held
    refused: dict[str, str] = field(default_factory=dict)  # why NVML gives no value, by its name


@dataclass(frozen=True, slots=True)
class Withheld:
    """A part of the machine that the starter of the process does not let it use."""

    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class CpuEnergy:
    """The meter of the energy of the CPUs, and what they consume while nothing is trained."""

    meter: str | None  # what the counters are read from; None: there are none
    missing: str = ""  # why
    counters: tuple[str, ...] = ()  # `package-0`, `dram-0`
    idle_package_watts: float | None = None
    idle_dram_watts: float | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run was measured."""

    id: str
    cpu: str
    cpus: int
    usable_cpus: int
    memory_bytes: int
    memory_limit_bytes: int | None  # of the cgroup; evidence: no table shows it
    os: str
    python: str
    gpu: str | None = None
    gpu_reason: str | None = None
    gpu_facts: Gpu | None = None
    libraries: dict[str, str] = field(default_factory=dict)
    commit: str | None = None  # of the current folder, and whether tracked files differ
    withheld: tuple[Withheld, ...] = ()  # on any host of the job
    cpu_energy: CpuEnergy | None = None  # None in runs from before it was recorded


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not the same in the other version."""

    kind: Literal["file", "library", "variable"]
    name: str
    what: str  # `+3 -1` lines of the working tree; `3.15.1, was 3.10.0`


@dataclass(frozen=True, slots=True)
class Version:
    """What the references of a run are trained with, where that is not what is here."""

    name: str  # as in the id of a case: `main@1a2b3c4`
    commit: str | None = None  # the hash
    python: str | None = None  # the path of an interpreter
    environment: dict[str, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()  # from the version to what is here


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Run:
    """Everything that one invocation measured on one machine."""

    id: str
    started_at: str
    machine: Machine
    protocol: Protocol
    outcomes: tuple[Outcome, ...]  # comparisons, measured or failed, and failed trainings
    wall_seconds: float = 0.0
    trainings: tuple[Training, ...] = ()
    ladders: tuple[Ladder, ...] = ()
    target_accuracy: float | None = None  # that trainings are timed to; None without trainings
    searches: tuple[Search, ...] = ()
    command: str | None = None  # what the user typed
    tunings: tuple[Tuning, ...] = ()
    version: Version | None = None  # that references are trained in
    profiles: tuple[Profile, ...] = ()
    schema: int = SCHEMA
