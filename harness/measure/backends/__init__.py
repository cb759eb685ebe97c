"""One file a framework; each has a class `Trainer` with the same small interface."""

import importlib
from typing import Any, Protocol

from harness.errors import UnknownName
from harness.records import Case, Fit

NAMES = ("tensorflow",)


class Trainer(Protocol):
    """A model with its compiled train function and batches in memory.

    Attributes:
        traces: Times that Python traced the step so far.
    """

    traces: int

    def __init__(self, model: Any, x: Any, y: Any, case: Case) -> None: ...

    def reset(self) -> None:
        """Forget the losses so far."""

    def run(self, steps: int) -> float:
        """Train so many steps, wait for the device, and return the mean loss since `reset`."""

    def fit(self, steps: int) -> Fit:
        """Time a real `Model.fit` over so many whole steps, or the whole epoch."""

    def weights_digest(self) -> float:
        """A number that changes when the weights do."""

    def macs_per_sample(self) -> tuple[int | None, str]:
        """Multiply-accumulates of one forward pass, and how they were counted."""

    def peak_memory_bytes(self) -> int | None:
        """The allocator's peak on the device; None on a CPU."""

    def device_name(self) -> str:
        """The device that trains."""

    def version(self) -> str:
        """Framework and Keras versions."""


def preload(name: str) -> None:
    """Import a framework and Keras, starting no runtime and no thread pool."""
    find(name).preload()


def find(name: str) -> Any:
    """Import a backend's module.

    Raises:
        UnknownName: no such backend.
    """
    if name not in NAMES:
        raise UnknownName(f"no backend {name!r}; known: {', '.join(NAMES)}")
    return importlib.import_module(f"harness.measure.backends.{name}")
