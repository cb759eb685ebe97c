"""Record every call of NVML with its answer, so that a test can replay a real driver.

A line per call, in columns that tabs divide: seconds since the begin, the function, what went in
(numbers and texts; `null` for a buffer of no size), the code that came back, how many microseconds
it took, and the bytes that came out, in hexadecimal, a word per argument.
"""

import contextlib
import ctypes
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pynvml

_POINTER = type(ctypes.POINTER(pynvml.struct_c_nvmlDevice_t))
_REFERENCE = type(ctypes.byref(ctypes.c_int()))
_SHORT = 64  # bytes
_NOT_RECORDED = ("nvmlInitWithFlags", "nvmlShutdown", "nvmlErrorString")


@contextlib.contextmanager
def recorded(path: Path) -> Iterator[None]:
    """Record the calls of this process; raises OSError if the file cannot be written.

    Yields without a recording where there is no NVML.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield
        return
    library = pynvml.nvmlLib
    kept: dict[str, Any] = pynvml._nvmlGetFunctionPointer_cache  # noqa: SLF001 (functions found so far)
    functions = dict(kept)
    with path.open("w", encoding="utf-8") as file:
        file.write("# seconds\tfunction\tin\tcode\tmicroseconds\tout\n")
        kept.clear()
        pynvml.nvmlLib = _Recorder(library, file)
        try:
            yield
        finally:
            pynvml.nvmlLib = library
            kept.clear()
            kept.update(functions)


class _Recorder:
    """Stands in for the library, whose functions it calls."""

    def __init__(self, library: Any, file: TextIO) -> None:
        self._library, self._file = library, file
        self._begin = time.perf_counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._library, name)
        if name in _NOT_RECORDED:
            return function  # type: ignore[no-any-return]

        def call(*arguments: Any) -> Any:
            begin = time.perf_counter()
            code = function(*arguments)
            end = time.perf_counter()
            given = " ".join(filter(None, map(_given, arguments)))
            told = " ".join(filter(None, map(_told, arguments)))
            micros = round((end - begin) * 1e6)
            line = (f"{begin - self._begin:.6f}", name, given, str(code), str(micros), told)
            self._file.write("\t".join(line) + "\n")
            return code

        return call


def _given(argument: Any) -> str:
    """What goes in by an argument; empty for one that something comes out by."""
    if argument is None:
        return "null"
    if isinstance(argument, (_REFERENCE, ctypes.Array)):
        return ""
    if isinstance(type(argument), _POINTER):
        return str(ctypes.cast(argument, ctypes.c_void_p).value or 0)
    value = getattr(argument, "value", argument)
    return value.decode() if isinstance(value, bytes) else str(value)


def _told(argument: Any) -> str:
    """The bytes that came out by an argument; of a long buffer only one of the zeros at its end."""
    target = getattr(argument, "_obj", argument)
    if not isinstance(argument, (_REFERENCE, ctypes.Array)):
        return ""
    told = bytes(target)
    return (told if len(told) <= _SHORT else told[: len(told.rstrip(b"\0")) + 1]).hex()
