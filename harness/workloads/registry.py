"""Find a variant by name: bundled, changed, `file.py:build` or `package.module:build`.

`baseline+wide_kernel+adam` is the baseline with those of its published changes.
"""

import difflib
import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from harness.errors import UnknownName
from harness.workloads import variants

Build = Callable[[], Any]

_BUNDLED: dict[str, Build] = {}
_CHANGED = "baseline+"
CHANGES = tuple(variants.CHANGES)


def register(build: Build, name: str | None = None) -> Build:
    """Add a variant under its function's name, or another; usable as a decorator."""
    _BUNDLED[name or build.__name__] = build
    return build


def names() -> list[str]:
    """List the registered variants, in order of registration."""
    return list(_BUNDLED)


def changed(changes: Collection[str]) -> str:
    """Name the baseline with some of its published changes; equal models have equal names."""
    if not changes:
        return "baseline"
    if len(changes) == len(CHANGES):
        return "improved"
    if len(changes) == 1 and (only := next(iter(changes))) in _BUNDLED:
        return only
    return _CHANGED + "+".join(change for change in CHANGES if change in changes)


def changes(name: str) -> tuple[str, ...] | None:
    """The published changes that a variant has; None for what is not the baseline changed so."""
    if name == "baseline":
        return ()
    if name == "improved":
        return CHANGES
    if name in CHANGES and name in _BUNDLED:
        return (name,)
    return tuple(name.removeprefix(_CHANGED).split("+")) if _is_changed(name) else None


def _is_changed(name: str) -> bool:
    return name.startswith(_CHANGED) and ":" not in name


def schedule(name: str) -> variants.Schedule | None:
    """The batch size and epochs that a bundled variant is trained with in full."""
    if name in ("improved", "single_dropout"):
        return variants.IMPROVED_SCHEDULE
    ours = name in _BUNDLED or changes(name) is not None
    return variants.BASELINE_SCHEDULE if ours else None


def check(name: str) -> None:
    """Refuse a name that no worker could resolve, without importing the user's code.

    Raises:
        UnknownName: no such variant, file, or function.
    """
    if name in _BUNDLED:
        return
    source, separator, function = name.rpartition(":")
    if _is_changed(name):
        for change in name.removeprefix(_CHANGED).split("+"):
            if change not in CHANGES:
                known = ", ".join(CHANGES)
                raise UnknownName(f"{name!r}: there is no change {change!r}; known: {known}")
        return
    if not separator:
        near = difflib.get_close_matches(name, _BUNDLED, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(_BUNDLED)}"
        raise UnknownName(f"no variant {name!r}; {hint} (your own: path/to/file.py:function)")
    if not function.isidentifier():
        raise UnknownName(f"{name!r}: what follows ':' must be the name of a function")
    if source.endswith(".py") and not Path(source).is_file():
        raise UnknownName(f"{name!r}: there is no file {source}")


def find(name: str) -> Build:
    """Resolve a variant's name to the function that builds it (worker's side).

    Raises:
        UnknownName: no such variant, file, module or function.
    """
    check(name)
    if name in _BUNDLED:
        return _BUNDLED[name]
    if _is_changed(name):
        return functools.partial(variants.changed, *name.removeprefix(_CHANGED).split("+"))
    source, _, function = name.rpartition(":")
    module = _load_file(Path(source)) if source.endswith(".py") else _load_module(source)
    build = getattr(module, function, None)
    if not callable(build):
        raise UnknownName(f"{name!r}: {source} has no function {function!r}")
    return build  # type: ignore[no-any-return]  # a user's function has no type here


def _load_file(path: Path) -> Any:
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


for _build in variants.BUNDLED:
    register(_build)
