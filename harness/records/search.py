"""What searches have tried: batch sizes, and settings that may make training faster."""

from dataclasses import dataclass, field
from typing import Literal

from harness.records.case import Case, Compared
from harness.records.comparison import FailureKind


@dataclass(frozen=True, slots=True)
class TriedSize:
    """A batch size that a search tried."""

    batch_size: int
    status: Literal["fits"] | FailureKind  # how its worker failed
    step_seconds: float | None = None  # of the warm-up; a rough value
    # Resident set on a CPU, device memory on a GPU; of a size that failed, the last reading before.
    peak_bytes: int | None = None
    message: str = ""  # why it failed


@dataclass(frozen=True, slots=True)
class Search:
    """The batch sizes that a search tried for a case."""

    case: Case  # with the first batch size
    probes: tuple[TriedSize, ...]  # in ascending order
    memory_bytes: int | None  # limit of a worker; None if unknown
    ended: str  # why the search stopped
    chosen: tuple[int, ...]  # the sizes worth measuring

    @property
    def key(self) -> str:
        """The key under which a run keeps the search."""
        return self.case.id


@dataclass(frozen=True, slots=True)
class Attempt(Compared):
    """A setting that was tried: alone, or on top of those kept before."""

    lever: str  # `name=setting`, several joined by `+`
    case: Case
    reference: Case  # without the setting
    reason: str = ""  # why the setting is not available here
    note: str = ""  # a remark about the setting on this machine
    environment: dict[str, str] = field(default_factory=dict)  # set before Python starts


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was tried to make a case faster."""

    plain: Case  # without any setting changed
    attempts: tuple[Attempt, ...] = ()  # each setting alone, then settings on top of others
    stack: tuple[str, ...] = ()  # the settings kept, in order
    stacked: Case | None = None  # with the best combination; None without a search for one

    @property
    def key(self) -> str:
        """Which tuning this is."""
        return self.plain.id
