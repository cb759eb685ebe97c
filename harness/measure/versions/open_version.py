"""Open another version: its files, its interpreter, its variables, and what differs from here."""

import contextlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadCase
from harness.measure.versions import interpreter
from harness.measure.versions.checkout import Checkout, TemporaryFolder
from harness.measure.versions.git import Repository
from harness.measure.versions.interpreter import Interpreter
from harness.measure.versions.place import UNTOUCHED, Place, elsewhere, is_library
from harness.records import Change, Version
from harness.workloads import sources

_SHORT = 7  # digits of a hash
_NOT_OF_USERS = ("keras", "keras_examples")
_SET_BY_US = {
    "KERAS_BACKEND": "--backend names the backend of both sides",
    "CUDA_VISIBLE_DEVICES": "both sides train on the same device",
    "PYTHONPATH": "the folders of modules are those of this process",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks for.

    Attributes:
        revision: Of git; None for the files that are here.
        python: Path of an interpreter; None for this one.
        environment: Variables.
    """

    revision: str | None = None
    python: str | None = None
    environment: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return self != Wanted()


@dataclass(eq=False)
class OtherVersion:
    """Another version that can be trained until `close`."""

    version: Version
    places: dict[str, Place]  # by the name of the version; empty for what is here
    _checkout: Checkout | None
    _folder: TemporaryFolder

    def check(self, variant: str) -> None:
        """Refuse a model that is the same at every commit, or was not there at this one.

        Raises:
            BadCase: the text says which.
        """
        if self._checkout is None:
            return
        file = _file_of(variant)
        if file is None or not file.resolve().is_relative_to(self._checkout.here):
            where = "no file of yours" if file is None else f"outside of {self._checkout.here}"
            raise BadCase(f"{variant} is {where}, so it is the same at every commit")
        if not self._checkout.of(file).exists():
            raise BadCase(f"{variant}: there is no {file.name} at {self.version.name}")

    def close(self) -> None:
        """Remove its files; a second call does nothing."""
        self._folder.remove()


def open_version(
    wanted: Wanted, models: Sequence[str], backend: str, left_out: Path
) -> OtherVersion:
    """Open another version.

    Args:
        wanted: What differs from here.
        models: That are trained, as the user has named them.
        backend: The Keras backend.
        left_out: A folder whose files are no change of the user's: that of the results.

    Raises:
        BadCase: a commit, an interpreter or a variable that cannot be used.
    """
    changes, names = list[Change](), list[str]()
    folder = TemporaryFolder.make()
    try:
        checkout = commit = python = None
        if wanted.revision is not None:
            repository = _repository(models)
            commit = repository.commit(wanted.revision)
            checkout = Checkout.make(repository, commit, folder.path)
            out = left_out.resolve()
            changes += [
                one
                for one in repository.changes(commit)
                if not (repository.root / one.name).resolve().is_relative_to(out)
                and not out.is_relative_to((repository.root / one.name).resolve())
            ]
            short = commit[:_SHORT]
            same = commit.startswith(wanted.revision)
            names.append(short if same else f"{wanted.revision}@{short}")
        if wanted.python is not None:
            python = _executable(wanted.python)
            other = Interpreter.ask(python, [backend])
            changes += interpreter.changes(other, Interpreter.ask(sys.executable))
            names.append(other.name)
        changes += _variables(wanted.environment)
        names += [f"{name}={value}" for name, value in wanted.environment]
        variables = dict(wanted.environment)
        version = Version("+".join(names), commit, python, variables, tuple(changes))
        place = elsewhere(folder.path, python, checkout, variables)
        return OtherVersion(version, {"": UNTOUCHED, version.name: place}, checkout, folder)
    except BaseException:
        folder.remove()
        raise


def _executable(path: str) -> str:
    """Return the path of an interpreter: a file, the folder of its environment, or a name."""
    for file in (Path(path) / "bin" / "python", Path(path)):
        if file.is_file():
            return str(file.absolute())
    if found := shutil.which(path):
        return found
    raise BadCase(f"there is no interpreter {path!r}")


def _variables(environment: Sequence[tuple[str, str]]) -> Iterator[Change]:
    for name, value in environment:
        if why := _SET_BY_US.get(name):
            raise BadCase(f"{name} cannot differ: {why}")
        here: str | None = os.environ.get(name)
        if here != value:
            yield Change("variable", name, f"{'unset' if here is None else here}, was {value}")


def _repository(models: Sequence[str]) -> Repository:
    """Find the repository of the first model that is in one, else that of the current folder."""
    for file in filter(None, map(_file_of, models)):
        with contextlib.suppress(BadCase):
            return Repository.of(file)
    return Repository.of(Path.cwd())


def _file_of(variant: str) -> Path | None:
    """Return the file that a model is in; None for what is no file of the user's."""
    if not sources.is_own(variant):
        return None
    if sources.is_saved(variant):
        return Path(variant)
    source = variant.rpartition(":")[0]
    return Path(source) if source.endswith(".py") else _folder_of(source.partition(".")[0])


def _folder_of(package: str) -> Path | None:
    """Return where a top-level package lies; nothing is imported."""
    found = None
    if package not in _NOT_OF_USERS:
        with contextlib.suppress(ImportError, ValueError):
            found = importlib.util.find_spec(package)
    places = [] if found is None else [found.origin, *(found.submodule_search_locations or [])]
    own = (Path(place) for place in places if place and not is_library(Path(place)))
    return next(own, None)
