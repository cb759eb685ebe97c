"""Errors of a worker: one line that says what is wrong, and a traceback of the user's own code."""

import contextlib
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from harness.errors import HarnessError
from harness.records import FailureKind
from harness.worker.backends import BACKENDS

Style = Literal["short", "full"]
_OUT_OF_MEMORY = (
    "MemoryError",  # Python and NumPy
    "bad_alloc",  # C++
    "CUDA_ERROR_OUT_OF_MEMORY",  # the driver
    "CUDA error: out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "No algorithm worked!",  # cuDNN had no memory to try one
)
_NO_KERNELS = "this build of the framework may lack kernels for this GPU: try a newer build"
_NO_COMPILER = (
    "the compiler of CUDA is not found: install nvidia-cuda-nvcc-cu12, or set "
    "XLA_FLAGS=--xla_gpu_cuda_data_dir=FOLDER"
)
_HELP = {  # in the text of an error: what it means, and what to do
    "CUDA_ERROR_INVALID_PTX": _NO_KERNELS,
    "CUDA_ERROR_INVALID_HANDLE": _NO_KERNELS,
    "no kernel image is available": _NO_KERNELS,
    "libdevice": _NO_COMPILER,
    "ptxas": _NO_COMPILER,
    "No PTX compilation provider": _NO_COMPILER,
    "driver version is insufficient": "install a newer driver",
    "driver on your system is too old": "install a newer driver",
}
_LONGEST = 400  # characters of a message
_LONGEST_TRACEBACK = 16_000
_OURS = str(Path(__file__).parents[1])
_FRAMEWORKS = {"keras", "importlib", *(name for one in BACKENDS for name in one.libraries)}
_GRAPH = "Graph execution error"
# Lines of such a page that are not the error: TensorFlow's own stack, and headings of it.
_PAGE = re.compile(rf"\s|{_GRAPH}|Detected at node|Node: |<stack traces|\d+ root error|$")
_BOLD = re.compile(r"\x1b\[\d*m")
_NUMBER = re.compile(r"^\s*\(\d+\)\s*")
_NODE = re.compile(r"\s*\[Op:[^\]]*\]|\s*\[\[.*?\]\]")


class Rejected(Exception):
    """The model cannot be trained as asked; the text says why."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@contextlib.contextmanager
def raised_by(name: str) -> Iterator[None]:
    """Name the user's code in what it raises."""
    try:
        yield
    except (HarnessError, Rejected):
        raise
    except Exception as error:
        raise Rejected(kind(error), f"{name} raised {one_line(error)}") from error


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
    text = " ".join(_sentence(str(error)).split())
    name = type(error).__name__
    help_ = next((f"; {what}" for sign, what in _HELP.items() if sign in str(error)), "")
    return f"{name}: {text[:_LONGEST]}{help_}" if text else name


def _sentence(text: str) -> str:
    """What is wrong, of a page that TensorFlow prints about a graph; another text as it is."""
    text = _BOLD.sub("", text)  # as Keras marks the sentence of its page
    if _GRAPH not in text:
        return text
    lines = (_NUMBER.sub("", line) for line in text.splitlines())
    return next((_NODE.sub("", line).strip() for line in lines if not _PAGE.match(line)), text)


def trace(error: BaseException, style: Style = "short") -> str:
    """The traceback of an error; by default the frames of the user's own files, if any are."""
    if style == "full":
        return "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, (Rejected, HarnessError)):
        if error.__cause__ is None:
            return ""
        error = error.__cause__
    elif frames and _is_ours(frames[-1].filename):  # a fault of the harness
        return trace(error, "full")
    return "".join(_own_lines(error))[-_LONGEST_TRACEBACK:]


def _own_lines(error: BaseException) -> Iterator[str]:
    """The frames of the user's files, those of what led to the error first."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None and (before := [*_own_lines(earlier)]):
        yield from before
        yield "\nThen:\n\n"
    own = [f for f in traceback.extract_tb(error.__traceback__) if _is_own(f.filename)]
    if own:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_list(own)
    if isinstance(error, SyntaxError):
        yield from traceback.format_exception_only(error)
    elif own:
        yield f"{type(error).__name__}: {_sentence(str(error))}\n"


def _is_ours(filename: str) -> bool:
    return Path(filename).is_relative_to(_OURS)


def _is_own(filename: str) -> bool:
    """Whether a file is neither the harness's nor a framework's, nor Python's importer."""
    parts = Path(filename).parts
    installed = [i for i, part in enumerate(parts) if part in ("site-packages", "dist-packages")]
    package = parts[installed[-1] + 1] if installed else Path(filename).parent.name
    hidden = package in _FRAMEWORKS if installed else package == "importlib"
    return not (hidden or _is_ours(filename) or filename.startswith("<frozen"))
