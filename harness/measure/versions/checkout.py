"""The files of another commit, in a temporary folder."""

import contextlib
import fcntl
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.errors import BadCase
from harness.measure.versions.git import Repository

_PREFIX = "harness-version-"
_LOCK = "lock"
_UNLOCKED_SECONDS = 3600.0  # a folder without a lock may have just been made
_MOST_NEIGHBORS = 1000
_OWN_CACHES = ("__pycache__",)  # Python would write into that of the working tree


@dataclass(eq=False)
class TemporaryFolder:
    """A folder that is removed at the end, or by the next start after a kill.

    Its owner holds a lock, which ends with the process.
    """

    path: Path
    _lock: IO[str]

    @classmethod
    def make(cls) -> "TemporaryFolder":
        """Remove what killed processes have left, and make a folder."""
        remove_abandoned()
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = (path / _LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return cls(path, lock)

    def remove(self) -> None:
        """Remove it with all that is in it; a second call does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def remove_abandoned() -> None:
    """Remove the folders of processes that have ended without doing so."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # of another user, in use, or removed meanwhile
            if (path / _LOCK).exists():
                with (path / _LOCK).open("r+") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            elif time.time() - path.stat().st_mtime > _UNLOCKED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of a commit beside a working tree.

    Attributes:
        here: Root of the working tree.
        there: Root of the files of the commit.
        shared: Paths under the root that are the same on both sides: what git ignores, and data
            that git does not have.
    """

    here: Path
    there: Path
    shared: tuple[str, ...]

    @classmethod
    def make(cls, repository: Repository, commit: str, folder: Path) -> "Checkout":
        """Write the files of a commit into a folder.

        Raises:
            BadCase: a file cannot be written, or a submodule lacks its commit.
        """
        there = folder / "files" / repository.root.name
        try:
            _link_neighbors(repository.root, there)
            repository.write_files(commit, there, folder / "index")
            shared = tuple(_share(repository, there))
        except OSError as error:
            why = f"cannot write the files of {commit[:7]} to {folder}: {error.strerror}"
            raise BadCase(f"{why}; TMPDIR names another folder") from error
        return cls(repository.root, there, shared)

    def of(self, path: Path) -> Path:
        """Return where a path of the working tree is among the files of the commit.

        What is outside of the working tree is the same for both.
        """
        try:
            inside = path.resolve().relative_to(self.here)
        except ValueError:
            return path
        return self.there / inside


def _link_neighbors(root: Path, there: Path) -> None:
    """Link what lies beside the working tree, so that `../data` leads there from both sides."""
    there.mkdir(parents=True)
    with contextlib.suppress(PermissionError):
        for path in itertools.islice(root.parent.iterdir(), _MOST_NEIGHBORS):
            if path.name != root.name:
                (there.parent / path.name).symlink_to(path)


def _share(repository: Repository, there: Path) -> Iterator[str]:
    """Link what git does not have, so that data lies where the model looks; yield each path.

    Not Python's files that are new and not ignored: they are a part of the change.
    """
    others = ("ls-files", "--others", "--exclude-standard", "--directory")
    ignored = repository.names(*others, "--ignored")
    new = [path for name in repository.names(*others) for path in _data(repository, name)]
    for name in ignored + new:
        path = there / name.rstrip("/")
        parts = path.relative_to(there).parts
        if path.exists() or any(part in _OWN_CACHES for part in parts):
            continue
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(repository.root / name.rstrip("/"))
            yield name.rstrip("/")


def _data(repository: Repository, name: str) -> list[str]:
    """List what of a new file or folder is not Python's: the whole folder, or its files."""
    path = repository.root / name
    if not path.is_dir():
        return [] if path.suffix == ".py" else [name]
    if next(path.rglob("*.py"), None) is None:
        return [name]
    its = repository.names("ls-files", "--others", "--exclude-standard", "--", name)
    return [one for one in its if not one.endswith(".py")]
