"""The append-only file of a run: JSON lines, each with a checksum, synced before the next.

A line that a crash or a bad disk has cut or changed is skipped and reported. One process at a time
writes the file.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

from harness.errors import BadRun

NAME = "journal.jsonl"
END = "end"  # the kind of the last entry of a run that nothing interrupted
SCHEMA = 2
READABLE_SCHEMAS = (1, SCHEMA)  # 1 has no checksums
_KIND = re.compile(rb'\{"kind": "(\w+)"')
_SEAL = re.compile(rb', "crc32": (\d{1,10})\}\s*\Z')


class Journal:
    """Appends entries to an open journal and syncs each to the disk."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open and lock the journal of a run; the folder is made if it does not exist.

        Raises:
            BadRun: the folder cannot be written, or another process is writing this journal.
        """
        path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("ab")
            _lock(file.fileno())
            if _is_torn(path):
                file.write(b"\n")
        except BlockingIOError as error:
            raise BadRun(
                f"another process is measuring into {folder}; wait until it ends or start a new run"
            ) from error
        except OSError as error:
            raise unwritable(folder, error.strerror) from error
        return cls(file)

    def write(self, kind: str, **entry: Any) -> None:
        """Append one entry and sync it; BadRun if the disk is full or the file has gone."""
        cannot = f"cannot write {self._file.name}"
        try:
            self._file.write(sealed(json.dumps({"kind": kind, **entry})))
            self._file.flush()
            os.fsync(self._file.fileno())
            gone = os.fstat(self._file.fileno()).st_nlink == 0
        except OSError as error:
            todo = "free some disk space and continue with --resume"
            why = f"{error.strerror}; earlier measurements are kept: {todo}"
            raise BadRun(f"{cannot}: {why}") from error
        if gone:  # its data would be lost when this process ends
            raise BadRun(f"{cannot}: the file has been removed, with all earlier measurements")

    def close(self) -> None:
        """Close the file; an error was reported when the entry was written."""
        with contextlib.suppress(OSError):
            self._file.close()


def is_locked(folder: Path) -> bool:
    """Whether another process is writing the journal of a run."""
    try:
        with (folder / NAME).open("ab") as file:
            _lock(file.fileno())
    except BlockingIOError:
        return True
    except OSError:  # it cannot be written: `Journal.open` says why
        return False
    return False


def _lock(descriptor: int) -> None:
    """Lock the file until this process ends; a BlockingIOError says that another one has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # a file system without locks
        if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise


def sealed(text: str) -> bytes:
    """Return an entry's JSON as a line with its checksum."""
    return f'{text[:-1]}, "crc32": {zlib.crc32(text.encode())}}}\n'.encode()


def unwritable(folder: Path, why: str | None) -> BadRun:
    """Return the error for a folder that cannot be written."""
    return BadRun(f"cannot write to {folder}: {why}; choose another output folder")


def _is_torn(path: Path) -> bool:
    """Whether the last line has no end."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1))
        return file.read(1) not in (b"", b"\n")


def read(
    folder: Path, on_damage: Callable[[int], None] | None = None, passed_over: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """Yield the intact entries of a journal; BadRun if there is none.

    `on_damage` gets the number, from 1, of each damaged line, which is skipped. Kinds that are
    passed over are checked only: a long run has a million rounds, which its blocks hold again.
    """
    checked = False
    try:
        with (folder / NAME).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                seal = _SEAL.search(line)
                checked = checked or seal is not None
                text = _whole(line, seal) if seal or not checked else b""
                begin = _KIND.match(text) if seal else None
                if begin and begin[1].decode() in passed_over:
                    continue
                entry = None
                with contextlib.suppress(ValueError, RecursionError):
                    entry = json.loads(text)
                if isinstance(entry, dict) and isinstance(entry.get("kind"), str):
                    yield entry
                elif on_damage and line.strip():
                    on_damage(number)
    except OSError as error:
        raise BadRun(f"{folder} holds no readable {NAME}") from error


def _whole(line: bytes, seal: "re.Match[bytes] | None") -> bytes:
    """Return the entry without its seal; nothing if the checksum differs."""
    if seal is None:
        return line
    text = line[: seal.start()] + b"}"
    return text if zlib.crc32(text) == int(seal[1]) else b""
