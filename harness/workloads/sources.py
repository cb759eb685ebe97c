"""Find what a user wrote by `file.py:name` or `package.module:name`."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UnknownName


def is_own(name: str) -> bool:
    """Whether something is in a file or module of the user's, not bundled: `my_model.py:data`."""
    return ":" in name


def check(name: str) -> None:
    """Raise `UnknownName` if no worker can resolve a name; the user's code is not imported."""
    source, _, function = name.rpartition(":")
    if not function.isidentifier():
        raise UnknownName(f"{name!r}: what follows ':' must be the name of a function")
    if source.endswith(".py") and not Path(source).is_file():
        raise UnknownName(f"{name!r}: there is no file {source}")


def find(name: str) -> Any:
    """Import what a user's file or module calls by a name (worker's side), else `UnknownName`."""
    check(name)
    source, _, wanted = name.rpartition(":")
    found = getattr(_module(source), wanted, None)
    if found is None:
        raise UnknownName(f"{name!r}: {source} has no function {wanted!r}")
    return found


def data_of(model: str) -> tuple[str | None, str]:
    """Find `data` beside a user's model (worker's side): `file.py:data`, or None and the reason.

    Whatever has that name once the file is imported counts: defined in a branch, assigned,
    imported. Modules and classes do not count.
    """
    source = model.rpartition(":")[0]
    data = getattr(_module(source), "data", None)
    if data is None or isinstance(data, (type, ModuleType)):
        return None, "no data found"
    if callable(data) or (isinstance(data, tuple) and len(data) == 2):
        return f"{source}:data", ""
    return None, f"data in {source} is {type(data).__name__}, neither a function nor (x, y)"


def _module(source: str) -> Any:
    if source.endswith(".py"):
        return _load_file(Path(source))
    try:
        return importlib.import_module(source)
    except ModuleNotFoundError as error:
        raise UnknownName(f"there is no module {source!r}: {error}") from error


def _load_file(path: Path) -> Any:
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known  # model and data often stand in one file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UnknownName(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent.resolve()))  # so that it can import its neighbors
    spec.loader.exec_module(module)
    return module
