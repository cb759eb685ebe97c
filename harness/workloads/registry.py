"""Find a variant by name: bundled, changed, `file.py:build` or `package.module:build`.

`keras.applications:MobileNetV3Small` is of the last kind, see `applications`.
`baseline+wide_kernel+adam` is the baseline with two of its published changes.
"""

import difflib
import functools
from collections.abc import Callable, Collection
from typing import Any

from harness.errors import UnknownName
from harness.workloads import sources, variants

Build = Callable[[], Any]

_BUNDLED: dict[str, Build] = {}
_CHANGED = "baseline+"
CHANGES = tuple(variants.CHANGES)
is_own = sources.is_own


def register(build: Build, name: str | None = None) -> Build:
    """Add a variant under its function's name or another; also a decorator."""
    _BUNDLED[name or build.__name__] = build
    return build


def names() -> list[str]:
    """The registered variants in the order of registration."""
    return list(_BUNDLED)


def changed(changes: Collection[str]) -> str:
    """Name the baseline with some of its published changes; equal models get equal names."""
    if not changes:
        return "baseline"
    if len(changes) == len(CHANGES):
        return "improved"
    if len(changes) == 1 and (only := next(iter(changes))) in _BUNDLED:
        return only
    return _CHANGED + "+".join(change for change in CHANGES if change in changes)


def changes(name: str) -> tuple[str, ...] | None:
    """The published changes of a variant; None for any other variant."""
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
    """The schedule of a bundled variant's full training; None for others."""
    if name in ("improved", "single_dropout"):
        return variants.IMPROVED_SCHEDULE
    ours = name in _BUNDLED or changes(name) is not None
    return variants.BASELINE_SCHEDULE if ours else None


def check(name: str) -> None:
    """Refuse a name that no worker can resolve, without importing the user's code.

    Raises:
        UnknownName: no such variant, file, or function.
    """
    if name in _BUNDLED:
        return
    if _is_changed(name):
        for change in name.removeprefix(_CHANGED).split("+"):
            if change not in CHANGES:
                known = ", ".join(CHANGES)
                raise UnknownName(f"{name!r}: no change {change!r}; known: {known}")
        return
    if not is_own(name):
        near = difflib.get_close_matches(name, _BUNDLED, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(_BUNDLED)}"
        raise UnknownName(f"no variant {name!r}; {hint} (your own: path/to/file.py:function)")
    sources.check(name)


def find(name: str) -> Build:
    """Return the function that builds a variant (worker's side).

    Raises:
        UnknownName: no such variant, file, module or function.
    """
    check(name)
    if name in _BUNDLED:
        return _BUNDLED[name]
    if _is_changed(name):
        return functools.partial(variants.changed, *name.removeprefix(_CHANGED).split("+"))
    found = sources.find(name)
    if not callable(found):
        raise UnknownName(f"{name!r} is {type(found).__name__}, not a function that builds a model")
    return found  # type: ignore[no-any-return]  # a user's function has no type here


for _build in variants.BUNDLED:
    register(_build)
