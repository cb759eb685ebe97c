"""The append-only file of a run: JSON lines, synced, forgiving of a torn last line."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import BadRun

NAME = "journal.jsonl"


class Journal:
    """Appends entries and syncs each to the disk before it returns."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / NAME).open("ab")
            if _is_torn(folder / NAME):
                self._file.write(b"\n")
        except OSError as error:
            raise unwritable(folder, error.strerror) from error

    def write(self, kind: str, **entry: Any) -> None:
        """Append one entry and sync it.

        Raises:
            BadRun: the disk is full or the folder has gone.
        """
        try:
            self._file.write(json.dumps({"kind": kind, **entry}).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise BadRun(f"cannot write {self._file.name}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


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


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole entries of a journal; what is torn or damaged is left out.

    Raises:
        BadRun: there is no journal.
    """
    try:
        with (folder / NAME).open("rb") as lines:
            for line in lines:
                entry = _entry(line)
                if isinstance(entry, dict) and "kind" in entry:
                    yield entry
    except OSError as error:
        raise BadRun(f"{folder} holds no readable {NAME}") from error


def _entry(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
