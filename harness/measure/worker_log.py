"""What a child prints: a file without a name; if it grows too long its end is kept."""

import contextlib
import ctypes
import fcntl
import os
import tempfile
from typing import IO

MOST_BYTES = 2**24  # on the disk
TAIL_BYTES = 4096  # that are shown
_READ_BYTES = 16 * TAIL_BYTES
_MODULES = "Extension modules: "  # how faulthandler's list of all of them begins
_KEEP_SIZE, _PUNCH_HOLE = 1, 2


def create() -> IO[bytes]:
    """Make a log; children append to it."""
    log = tempfile.TemporaryFile()  # noqa: SIM115  (its worker or server closes it)
    flags = fcntl.fcntl(log.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(log.fileno(), fcntl.F_SETFL, flags | os.O_APPEND)
    return log


def tail(log: IO[bytes], end: int | None = None) -> str:
    """Read the end of a log, but for a list that says nothing and would fill it.

    Args:
        log: The log.
        end: Where it ended before a worker added its traceback; None for all of it.
    """
    with contextlib.suppress(ValueError, OSError):
        size = os.fstat(log.fileno()).st_size if end is None else end
        # At an offset of its own: the child writes at the end.
        text = os.pread(log.fileno(), min(size, _READ_BYTES), max(0, size - _READ_BYTES))
        lines = text.lstrip(b"\0").decode(errors="replace").splitlines()
        told = (line for line in lines if not line.startswith(_MODULES))
        return "\n".join(told).strip()[-TAIL_BYTES:]
    return ""


def shorten(log: IO[bytes]) -> None:
    """Give back the room of all but the end of a log that has grown too long.

    The child may write meanwhile: a hole is made before the end, and nothing moves (fallocate(2),
    FALLOC_FL_PUNCH_HOLE). Where there are no holes, all of it goes.
    """
    with contextlib.suppress(ValueError, OSError):
        found = os.fstat(log.fileno())
        if found.st_blocks * 512 <= MOST_BYTES:
            return
        if not _punch(log.fileno(), found.st_size - _READ_BYTES):
            os.ftruncate(log.fileno(), 0)


def _punch(descriptor: int, length: int) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        fallocate = ctypes.CDLL(None, use_errno=True).fallocate
        fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        return bool(fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, 0, max(1, length)) == 0)
    return False
