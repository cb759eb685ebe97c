"""Where the workers of a version run."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.measure.versions.checkout import Checkout
from harness.workloads.redirect import NO_BYTECODE, Redirect

_PACKAGE = Path(__file__).resolve().parents[2]
_LIBRARIES = ("lib", "lib64", "local", "bin")  # folders of an interpreter


@dataclass(frozen=True, slots=True)
class Place:
    """How workers are started: by which interpreter, where, and with which variables.

    Attributes:
        python: The interpreter, with its options.
        folder: Their current folder; None for that of this process.
        path: Folders of modules, before those that the interpreter knows by itself; None for those
            of this process when the worker starts.
        variables: In place of those of this process.
    """

    python: tuple[str, ...] = (sys.executable,)
    folder: Path | None = None
    path: tuple[str, ...] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def search_path(self) -> str:
        """The value of `PYTHONPATH`: this package and the user's modules are found by it."""
        path = [one or "." for one in sys.path] if self.path is None else self.path
        return os.pathsep.join(path)


HERE = Place()
UNTOUCHED = Place(variables={NO_BYTECODE: "1"})  # here, and the working tree stays as it is


def elsewhere(
    temporary: Path, python: str | None, checkout: Checkout | None, variables: Mapping[str, str]
) -> Place:
    """Return the place of another version.

    Another interpreter gets the user's folders of modules and this package, but no library of
    this interpreter.

    Args:
        temporary: A folder for the length of the run.
        python: Path of the interpreter; None for this one.
        checkout: The files; None for those that are here.
        variables: Of the environment.
    """
    alone = temporary / "harness only"
    alone.mkdir(exist_ok=True)
    if not (link := alone / _PACKAGE.name).exists():
        link.symlink_to(_PACKAGE)
    path = list(_own_folders() if python else (str(Path(p).absolute()) for p in sys.path))
    folder, redirect = None, dict(UNTOUCHED.variables)
    if checkout is not None:
        path = [str(checkout.of(Path(one))) for one in path]
        current = checkout.of(Path.cwd())
        folder = current if current.is_dir() else checkout.there
        where = str(checkout.here), str(checkout.there), str(Path.cwd()), checkout.shared
        redirect |= Redirect(*where).variables()
    # The current folder follows this package, which it may hold in another version.
    path = [str(alone), str(folder or Path.cwd()), *path]
    safe = (python or sys.executable, "-P")
    return Place(safe, folder, tuple(dict.fromkeys(path)), {**variables, **redirect})


def _own_folders() -> Iterator[str]:
    """Yield what stands in the search path for the user's own modules."""
    for one in map(Path, sys.path):
        if not is_library(one) and one.resolve() != _PACKAGE.parent and one.is_dir():
            yield str(one.absolute())


def is_library(path: Path) -> bool:
    """Whether a file or folder belongs to this interpreter or to what is installed for it."""
    prefixes = (sys.prefix, sys.base_prefix)
    folders = [Path(one, name).resolve() for one in prefixes for name in _LIBRARIES]
    return any(path.resolve().is_relative_to(folder) for folder in folders)
