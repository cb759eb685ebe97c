"""Searches for batch sizes."""

from dataclasses import dataclass
from typing import Literal

from harness.records.case import Case
from harness.records.comparison import FailureKind


@dataclass(frozen=True, slots=True)
class Probe:
    """A batch size that a search tried.

    Attributes:
        status: `fits`, or how its worker failed.
        step_seconds: A step of the warm-up, about.
        peak_bytes: Memory at most: resident set on a CPU, device memory on a GPU. Of a size that
            failed how far it got.
        message: Why it failed; empty when it fits.
    """

    batch_size: int
    status: Literal["fits"] | FailureKind
    step_seconds: float | None = None
    peak_bytes: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """The batch sizes that were tried for a case, doubling until something stopped it.

    Attributes:
        case: What was tried; its own batch size is the first.
        probes: In the order of their size.
        memory_bytes: What there was; None where it is not known.
        ended: What stopped it.
        chosen: The sizes worth measuring.
    """

    case: Case
    probes: tuple[Probe, ...]
    memory_bytes: int | None
    ended: str
    chosen: tuple[int, ...]

    @property
    def key(self) -> str:
        """Which search this is."""
        return self.case.id
