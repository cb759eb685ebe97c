"""Where the workers of a version run."""

import dataclasses
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
    """How workers are started: by which interpreter, with which variables, on which files.

    Attributes:
        python: The interpreter, with its options.
        path: Folders of modules, before those that the interpreter knows by itself; None for those
            of this process when the worker starts.
        variables: In place of those of this process.
        redirect: The file of the redirection to another commit; None for the files that are here.
        own_server: Whether workers cannot be forked by the server of those that are here: a
            framework is imported by one interpreter, and reads variables then.
    """

    python: tuple[str, ...] = (sys.executable,)
    path: tuple[str, ...] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    redirect: str | None = None
    own_server: bool = False

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

    Args:
        temporary: A folder for the length of the run.
        python: Path of the interpreter; None for this one.
        checkout: The files; None for those that are here.
        variables: Of the environment.
    """
    redirect = None
    if checkout is not None:
        where = str(checkout.here), str(checkout.there), str(Path.cwd())
        redirect = str(temporary / "redirect.json")
        Redirect(*where, checkout.shared).save(Path(redirect))
    place = dataclasses.replace(UNTOUCHED, redirect=redirect)
    if python is not None:
        # The current folder follows this package, which it may hold in another version.
        path = dict.fromkeys((_package_alone(temporary), str(Path.cwd()), *_own_folders()))
        place = dataclasses.replace(place, python=(python, "-P"), path=tuple(path))
    own = bool(python or variables)
    both = {**variables, **place.variables}
    return dataclasses.replace(place, variables=both, own_server=own)


def _package_alone(temporary: Path) -> str:
    """Return a folder that holds this package and no library of this interpreter."""
    folder = temporary / "harness only"
    folder.mkdir()
    (folder / _PACKAGE.name).symlink_to(_PACKAGE)
    return str(folder)


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
