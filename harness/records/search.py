"""Searches for batch sizes."""

from dataclasses import dataclass
from typing import Literal

from harness.records.case import Case
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
