"""Failures of a worker, in one line each."""

from harness.errors import HarnessError
from harness.records import FailureKind
from harness.worker.backends import BACKENDS

_OUT_OF_MEMORY = ("MemoryError", "bad_alloc")  # Python and NumPy, C++
_LONGEST = 400  # characters of a message


class Rejected(Exception):  # noqa: N818  (a result)
    """The model cannot be trained as asked; the text says why."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def kind(error: BaseException) -> FailureKind:
    """Whether memory ran out, as far as the error's type and text tell."""
    if isinstance(error, Rejected):
        return error.kind
    text = f"{type(error).__name__}: {error}"
    signs = (*_OUT_OF_MEMORY, *(sign for backend in BACKENDS for sign in backend.out_of_memory))
    return "oom" if any(sign in text for sign in signs) else "error"


def one_line(error: BaseException) -> str:
    """Type and text of an error; the text alone where it is the harness's own."""
    if isinstance(error, (Rejected, HarnessError)):
        return str(error)
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text[:_LONGEST]}" if text else name
