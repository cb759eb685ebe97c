"""Find a variant by name: bundled, changed, `file.py:build` or `package.module:build`.

`keras.applications:MobileNetV3Small` is of the last kind.
`baseline+wide_kernel+adam` is the baseline with two of its published changes.
"""

import functools
from collections.abc import Callable, Collection
from typing import Any

from harness.errors import UnknownName, similar
from harness.workloads import redirect, sources, variants
from harness.workloads.variants import BUNDLED

Build = Callable[[], Any]

CHANGES = tuple(variants.CHANGES)
is_own = sources.is_own


def names() -> list[str]:
    """The bundled variants, in the order of their declaration."""
    return list(BUNDLED)


def changed(changes: Collection[str]) -> str:
    """Name the baseline with some of its published changes; equal models get equal names."""
    if not changes:
        return "baseline"
    if len(changes) == len(CHANGES):
        return "improved"
    if len(changes) == 1 and (only := next(iter(changes))) in BUNDLED:
        return only
    return "+".join(["baseline", *(change for change in CHANGES if change in changes)])


def changes(name: str) -> tuple[str, ...] | None:
    """The published changes of a variant; None for any other variant."""
    if name in ("baseline", "improved"):
        return CHANGES if name == "improved" else ()
    if name in CHANGES and name in BUNDLED:
        return (name,)
    return _added(name) or None


def _added(name: str) -> tuple[str, ...]:
    """The changes in a name such as `baseline+adam`; none in another name."""
    return () if is_own(name) or not name.startswith("baseline+") else (*name.split("+")[1:],)


def schedule(name: str) -> variants.Schedule | None:
    """The schedule of a bundled variant's full training; None for others."""
    if name in ("improved", "single_dropout"):
        return variants.IMPROVED_SCHEDULE
    ours = name in BUNDLED or changes(name) is not None
    return variants.BASELINE_SCHEDULE if ours else None


def check(name: str) -> None:
    """Raise `UnknownName` if no worker can resolve a name; the user's code is not imported."""
    for change in _added(name):
        if change not in CHANGES:
            raise UnknownName(f"{name!r}: no change {change!r}; known: {', '.join(CHANGES)}")
    if is_own(name):
        sources.check(name)
    elif name.endswith(".py"):
        raise UnknownName(sources.unnamed(name))
    elif name not in BUNDLED and not _added(name):
        hint = similar(name, BUNDLED, most=2, cutoff=0.4)
        raise UnknownName(f"no variant {name!r}; {hint} (your own: path/to/file.py:function)")


def find(name: str) -> Build:
    """Return the function that builds a variant (worker's side), else raise `UnknownName`."""
    check(name)
    if not is_own(name):
        arguments = BUNDLED[name] if name in BUNDLED else variants.with_changes(*_added(name))
        return functools.partial(variants.network, **arguments)
    if sources.is_saved(name):
        return functools.partial(variants.saved, redirect.path(name))
    found = sources.find(name)
    if not callable(found):
        raise UnknownName(f"{name!r} is {type(found).__name__}, not a function that builds a model")
    if hasattr(found, "train_step") and not isinstance(found, type):  # a model, made already
        return lambda: found
    if needed := sources.needed(found):
        raise UnknownName(
            f"{name!r} cannot be called without {', '.join(needed)}; name a function without "
            "arguments that returns the model"
        )
    return found  # type: ignore[no-any-return]  # a user's function has no type here
