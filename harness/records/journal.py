"""The append-only file of a run: JSON lines, each with its checksum, synced before the next.

It forgives what a crash or a bad disk leaves: a line that is cut or changed is left out, and
told. One process at a time writes it.
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
                f"another process is measuring into {folder}; wait for its end or start a new run"
            ) from error
        except OSError as error:
            raise unwritable(folder, error.strerror) from error
        return cls(file)

    def write(self, kind: str, **entry: Any) -> None:
        """Append one entry and sync it.

        Raises:
            BadRun: the disk is full or the file has gone.
        """
        text = json.dumps({"kind": kind, **entry})
        try:
            self._file.write(sealed(text))
            self._file.flush()
            os.fsync(self._file.fileno())
            gone = os.fstat(self._file.fileno()).st_nlink == 0
        except OSError as error:
            raise BadRun(
                f"cannot write {self._file.name}: {error.strerror}; what was measured before is "
                "in it: make room and go on with --resume"
            ) from error
        if gone:  # what is written to it now ends with this process
            raise BadRun(
                f"cannot write {self._file.name}: it has been removed, and what was measured "
                "with it"
            )

    def close(self) -> None:
        """Close the file; what could not be written has been told before."""
        with contextlib.suppress(OSError):
            self._file.close()


def _lock(descriptor: int) -> None:
    """Take the lock of the file; the kernel lets go of it when this process ends.

    Raises:
        BlockingIOError: another process has it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:  # a file system without locks
        if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise


def sealed(text: str) -> bytes:
    """Write an entry's JSON as a line with its checksum."""
    return f'{text[:-1]}, "crc32": {zlib.crc32(text.encode())}}}\n'.encode()


def unwritable(folder: Path, why: str | None) -> BadRun:
    """Say that a run's folder cannot be used."""
    return BadRun(f"cannot write to {folder}: {why}; choose another output folder")


def _is_torn(path: Path) -> bool:
    """Whether a crash left the last line without its end."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def read(
    folder: Path,
    on_damage: Callable[[int], None] | None = None,
    passed_over: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    """Yield the whole entries of a journal; what is torn or damaged is left out.

    Args:
        folder: Of the run.
        on_damage: Told the number of each line that is left out, from 1.
        passed_over: Kinds of entries that are checked and not yielded: a long run has a million
            rounds, and its blocks hold them again.

    Raises:
        BadRun: there is no journal.
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
                entry = _parsed(text)
                if isinstance(entry, dict) and isinstance(entry.get("kind"), str):
                    yield entry
                elif line.strip() and on_damage is not None:
                    on_damage(number)
    except OSError as error:
        raise BadRun(f"{folder} holds no readable {NAME}") from error


def _whole(line: bytes, seal: "re.Match[bytes] | None") -> bytes:
    """Return what was written before the seal; nothing if it is not what was sealed."""
    if seal is None:
        return line
    text = line[: seal.start()] + b"}"
    return text if zlib.crc32(text) == int(seal[1]) else b""


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
