"""One module per framework; importing them imports no framework."""

from harness.errors import UnknownName
from harness.worker.backends.backend import Backend
from harness.worker.backends.jax import Jax
from harness.worker.backends.tensorflow import TensorFlow
from harness.worker.backends.torch import Torch

__all__ = ["BACKENDS", "NAMES", "Backend", "find"]

BACKENDS: tuple[Backend, ...] = (TensorFlow(), Jax(), Torch())
NAMES = tuple(backend.name for backend in BACKENDS)


def find(name: str) -> Backend:
    """Return a backend by its name; `UnknownName` lists those that there are."""
    if name not in NAMES:
        raise UnknownName(f"no backend {name!r}; known: {', '.join(NAMES)}")
    return BACKENDS[NAMES.index(name)]
