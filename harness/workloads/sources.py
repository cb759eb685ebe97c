"""Find a function of the user's by `file.py:name` or `package.module:name`."""

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from harness.errors import UnknownName


def check(name: str) -> None:
    """Refuse a name that no worker could resolve, without importing the user's code.

    Raises:
        UnknownName: no such file, or no name of a function.
    """
    source, _, function = name.rpartition(":")
    if not function.isidentifier():
        raise UnknownName(f"{name!r}: what follows ':' must be the name of a function")
    if source.endswith(".py") and not Path(source).is_file():
        raise UnknownName(f"{name!r}: there is no file {source}")


def defines(name: str) -> bool:
    """Whether a file of Python defines that function at its top, as far as its text says."""
    source, _, function = name.rpartition(":")
    try:
        tree = ast.parse(Path(source).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return False  # a worker says what is wrong with it
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)


def find(name: str) -> Any:
    """Import a user's function (worker's side).

    Raises:
        UnknownName: no such file, module or function.
    """
    check(name)
    source, _, function = name.rpartition(":")
    module = _load_file(Path(source)) if source.endswith(".py") else _load_module(source)
    found = getattr(module, function, None)
    if not callable(found):
        raise UnknownName(f"{name!r}: {source} has no function {function!r}")
    return found


def _load_file(path: Path) -> Any:
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known  # model and data often stand in one file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UnknownName(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent.resolve()))  # so that it can import its neighbours
    spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UnknownName(f"there is no module {name!r}: {error}") from error
