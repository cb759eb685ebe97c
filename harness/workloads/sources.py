"""Find what a user wrote by `file.py:name`, `package.module:name`, or a saved model's file."""

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UnknownName
from harness.workloads import redirect, scripts

SAVED = (".keras", ".h5", ".hdf5")  # files of models
FIT = "fit"  # the data that a file gives to its own `fit`
_LIKE_MODEL = ("model", "build", "net")
_MOST_NAMED = 3
_LIKE_DATA = ("train_ds", "train_dataset", "dataset", "x_train", "X_train", "load_data")

_BUNDLED = {"keras_examples": "harness.workloads.keras_examples"}
_modules: dict[str, ModuleType] = {}  # by file


def is_own(name: str) -> bool:
    """Whether something is in a file or module of the user's, not bundled: `my_model.py:data`."""
    return ":" in name or is_saved(name)


def is_saved(name: str) -> bool:
    """Whether a name is that of a saved model's file."""
    return Path(name).suffix in SAVED and ":" not in Path(name).name


def check(name: str) -> None:
    """Raise `UnknownName` if no worker can resolve a name; the user's code is not imported."""
    if is_saved(name):
        if not Path(redirect.path(name)).is_file():
            raise UnknownName(f"{name!r}: there is no such file")
        return
    source, _, function = name.rpartition(":")
    if not function.isidentifier():
        raise UnknownName(f"{name!r}: what follows ':' must be the name of a function")
    if source.endswith(".py") and not Path(redirect.path(source)).is_file():
        raise UnknownName(f"{name!r}: there is no file {source}")


def unnamed(file: str) -> str:
    """Say what of a file can be named, where the file alone was named."""
    try:
        body = ast.parse(Path(file).read_bytes()).body
    except OSError:
        return f"there is no file {file!r}"
    except (SyntaxError, ValueError):
        body = []
    functions = [one.name for one in body if isinstance(one, (ast.FunctionDef, ast.ClassDef))]
    assigned = [
        target.id
        for one in body
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Call)
        for target in one.targets
        if isinstance(target, ast.Name)
    ]
    found = [*dict.fromkeys((*functions, *assigned))]
    likely = [name for name in found if any(part in name.lower() for part in _LIKE_MODEL)]
    names = (likely or functions)[:_MOST_NAMED] or ["build"]
    which = " or ".join(f"{file}:{name}" for name in names)
    return f"{file!r}: name the function or the model in the file as well: {which}"


def find(name: str) -> Any:
    """Import what a user's file or module calls by a name (worker's side), else `UnknownName`."""
    check(name)
    source, _, wanted = name.rpartition(":")
    found = getattr(_module(source, wanted), wanted, None)
    if found is None and wanted == FIT and (given := _given_to_fit(source)):
        found = given.data
    if found is None:
        raise UnknownName(f"{name!r}: {source} has no function {wanted!r}")
    return found


def steps_per_epoch(name: str) -> int | None:
    """Return the steps that a file whose own `fit` gives the data names; None without them."""
    source, _, wanted = name.rpartition(":")
    given = _given_to_fit(source) if wanted == FIT else None
    return None if given is None else given.steps_per_epoch


def data_of(model: str) -> tuple[str | None, str]:
    """Find `data` beside a user's model (worker's side): `file.py:data`, or None and the reason.

    Whatever has that name once the file is imported counts: defined in a branch, assigned,
    imported. Modules, classes and text do not count. Without it, it is what the file gives to its
    own `fit`: `file.py:fit`.
    """
    if is_saved(model):
        return None, "no data found"
    source, _, wanted = model.rpartition(":")
    module = _module(source, wanted)
    data = getattr(module, "data", None)
    if isinstance(data, str):
        return None, f"data in {source} is str, neither a function nor data"
    if data is not None and not isinstance(data, (type, ModuleType)):
        return f"{source}:data", ""
    if _given_to_fit(source) is not None:
        return f"{source}:{FIT}", ""
    like = [name for name in _LIKE_DATA if hasattr(module, name)]
    unused = f" ({like[0]} in {source} is not used: call it data)" if like else ""
    return None, f"no data found{unused}"


def needed(function: Any) -> list[str]:
    """Return the arguments that a function cannot be called without."""
    try:
        its = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    given = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in its if one.default is one.empty and one.kind not in given]


def _given_to_fit(source: str) -> scripts.Given | None:
    return scripts.given_to_fit(redirect.path(source))


def _module(source: str, wanted: str) -> Any:
    source = _BUNDLED.get(source, source)
    if source.endswith(".py"):
        if source not in _modules:
            _modules[source] = scripts.execute(Path(redirect.path(source)), wanted)
        return _modules[source]
    try:
        return importlib.import_module(source)
    except ModuleNotFoundError as error:
        raise UnknownName(f"there is no module {source!r}: {error}") from error
