"""The output of a child, in an unnamed file; of a long output only the end is kept."""

import contextlib
import ctypes
import fcntl
import os
import tempfile
from typing import IO

MOST_BYTES = 2**24  # on the disk
TAIL_BYTES = 4096  # that are shown
_READ_BYTES = 16 * TAIL_BYTES
_MODULES = "Extension modules: "  # begins a long line that faulthandler prints
_KEEP_SIZE, _PUNCH_HOLE = 1, 2


def create() -> IO[bytes]:
    """Make a log that children append to."""
    log = tempfile.TemporaryFile()  # noqa: SIM115  (its worker or server closes it)
    flags = fcntl.fcntl(log.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(log.fileno(), fcntl.F_SETFL, flags | os.O_APPEND)
    return log


def tail(log: IO[bytes], end: int | None = None) -> str:
    """Read the end of a log, without the long list of modules that faulthandler prints.

    `end` is the size of the log before a worker added its traceback.
    """
    with contextlib.suppress(ValueError, OSError):
        size = os.fstat(log.fileno()).st_size if end is None else end
        # `pread`, because the offset of the file is shared with the child.
        text = os.pread(log.fileno(), min(size, _READ_BYTES), max(0, size - _READ_BYTES))
        lines = text.lstrip(b"\0").decode(errors="replace").splitlines()
        kept = (line for line in lines if not line.startswith(_MODULES))
        return "\n".join(kept).strip()[-TAIL_BYTES:]
    return ""


def shorten(log: IO[bytes]) -> None:
    """Free the disk space of a long log, except its end.

    The child may write meanwhile, so a hole is punched and no byte moves (fallocate(2),
    FALLOC_FL_PUNCH_HOLE). On a file system without holes the log is emptied.
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
