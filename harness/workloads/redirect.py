"""The files of another commit in place of those of the working tree (worker's side).

Modules are redirected as well: an editable install leads to the working tree, whatever stands
before it on the search path.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Self

VARIABLE = "HARNESS_REDIRECT"  # names the file of a redirection, where a worker is spawned
NO_BYTECODE = "HARNESS_NO_BYTECODE"  # set: user's modules leave no `__pycache__` beside them
_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where the files of a working tree are to be read instead.

    Attributes:
        here: Root of the working tree.
        there: Root of the other files.
        folder: What relative paths are relative to.
        shared: Paths under the root that are the same on both sides.
    """

    here: str
    there: str
    folder: str
    shared: tuple[str, ...]

    @classmethod
    def read(cls, file: str) -> "Self":
        """Read what `save` has written."""
        given = json.loads(Path(file).read_text(encoding="utf-8"))
        return cls(**{**given, "shared": tuple(given["shared"])})

    def save(self, file: Path) -> None:
        """Write it for workers: it may be longer than a variable or a request."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def path(self, name: str) -> str:
        """Return where a file is read; one outside of the working tree is read where it is."""
        real = os.path.realpath(Path(self.folder, name))
        inside = self.inside(real)
        return real if inside is None else str(Path(self.there, inside))

    def inside(self, path: str) -> str | None:
        """Return a path relative to the working tree; None outside of what is redirected."""
        if not path.startswith(self.here + os.sep):
            return None
        inside = path[len(self.here) + 1 :]
        shared = any(inside == one or inside.startswith(one + os.sep) for one in self.shared)
        return None if shared else inside


_followed: list[Redirect] = []  # of this process: one, or none


def path(name: str) -> str:
    """Return where a file that a user has named is read in this process."""
    return _followed[0].path(name) if _followed else name


def follow(file: str) -> None:
    """Read the files of another commit in this process from now on.

    Current folder, search path and imports are redirected, also those of an editable install. What
    is imported already stays: the framework, and this package.
    """
    redirect = Redirect.read(file)
    _followed[:] = [redirect]
    folders = [os.path.realpath(one or ".") for one in sys.path]
    inside = map(redirect.inside, folders)
    sys.path[:] = [
        one if found is None else str(Path(redirect.there, found))
        for one, found in zip(sys.path, inside, strict=True)
    ]
    current = redirect.path(redirect.folder)
    os.chdir(current if Path(current).is_dir() else redirect.there)
    sys.meta_path.insert(0, _Finder(redirect))


def begin() -> None:
    """Do as the environment says, before a user's module is imported.

    Once the framework is imported, so that its bytecode is kept.
    """
    if os.environ.get(NO_BYTECODE):
        sys.dont_write_bytecode = True
    if file := os.environ.get(VARIABLE):
        follow(file)


class _Finder(importlib.abc.MetaPathFinder):
    """Asks the other finders, and redirects what they find."""

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] == _PACKAGE:
            return None
        found = None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is not self and find and (found := find(fullname, path, target)):
                break
        if found is None or (found.origin is None and not found.submodule_search_locations):
            return found
        return self._redirected(found)

    def _redirected(
        self, found: importlib.machinery.ModuleSpec
    ) -> importlib.machinery.ModuleSpec | None:
        redirect = self._redirect
        folders = found.submodule_search_locations
        if found.origin is None:  # a package without a file of its own
            for index, folder in enumerate(map(os.path.realpath, folders or [])):
                if (inside := redirect.inside(folder)) is not None:
                    assert folders is not None
                    folders[index] = str(Path(redirect.there, inside))
            return found
        inside = redirect.inside(os.path.realpath(found.origin))
        if inside is None:
            return found
        path = Path(redirect.there, inside)
        if not path.exists():
            raise ModuleNotFoundError(f"No module named {found.name!r}", name=found.name)
        folders = None if folders is None else [str(path.parent)]
        return importlib.util.spec_from_file_location(
            found.name, path, submodule_search_locations=folders
        )
