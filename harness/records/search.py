"""What searches have tried: batch sizes, and settings that may make training faster."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from harness.records.case import Case, comparison_key
from harness.records.comparison import FailureKind


@dataclass(frozen=True, slots=True)
class TriedSize:
    """A batch size that a search tried.

    Attributes:
        status: `fits`, or how its worker failed.
        step_seconds: Of the warm-up; a rough value.
        peak_bytes: Peak memory: resident set on a CPU, device memory on a GPU. Of a size that
            failed, the last reading before.
        message: Why it failed; empty if it fits.
    """

    batch_size: int
    status: Literal["fits"] | FailureKind
    step_seconds: float | None = None
    peak_bytes: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """The batch sizes that a search tried for a case.

    Attributes:
        case: What was tried; its own batch size is the first.
        probes: The sizes, in ascending order.
        memory_bytes: Memory limit of a worker; None if unknown.
        ended: Why the search stopped.
        chosen: The sizes worth measuring.
    """

    case: Case
    probes: tuple[TriedSize, ...]
    memory_bytes: int | None
    ended: str
    chosen: tuple[int, ...]

    @property
    def key(self) -> str:
        """The key under which a run keeps the search."""
        return self.case.id


@dataclass(frozen=True, slots=True)
class Attempt:
    """A setting that was tried: alone, or on top of those kept before.

    Attributes:
        lever: `name=setting`, several joined by `+`.
        case: With the setting.
        reference: Without the setting.
        reason: Why the setting is not available here; empty if it is.
        note: A remark about the setting on this machine.
        environment: Variables that must be set before Python starts.
    """

    lever: str
    case: Case
    reference: Case
    reason: str = ""
    note: str = ""
    environment: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was tried to make a case faster.

    Attributes:
        plain: The case without any setting changed.
        attempts: In order: first each setting alone, then settings on top of others.
        stack: The settings kept, in order.
        stacked: The case with the best combination; None without a search for one.
    """

    plain: Case
    attempts: tuple[Attempt, ...] = ()
    stack: tuple[str, ...] = ()
    stacked: Case | None = None

    @property
    def key(self) -> str:
        """Which tuning this is."""
        return self.plain.id
