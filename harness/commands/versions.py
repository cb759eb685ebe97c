"""Say how the two versions of a run differ, before the first is trained."""

import os
from collections.abc import Iterator

from harness.records import Change, Version

_MOST_NAMED = 8
_FIRST = ("Python", "keras", "tensorflow", "jax", "jaxlib", "torch", "numpy")
_KINDS = {"file": "files", "library": "libraries", "variable": "variables"}


def lines(version: Version) -> Iterator[str]:
    """Yield what differs, kind by kind; one line if nothing does."""
    yield f"reference: {version.name}{_where(version)}"
    if not version.changes:
        yield "  nothing differs here, so that the reference is compared with itself"
    for kind, title in _KINDS.items():
        its = sorted((c for c in version.changes if c.kind == kind), key=_rank)
        if its:
            more = len(its) - _MOST_NAMED
            named = ", ".join(f"{one.name} ({one.what})" for one in its[:_MOST_NAMED])
            yield f"  {title} that differ here: {named}" + (
                f", and {more} more" if more > 0 else ""
            )


def _where(version: Version) -> str:
    return f", trained by {os.path.relpath(version.python)}" if version.python else ""


def _rank(change: Change) -> int:
    return _FIRST.index(change.name) if change.name in _FIRST else len(_FIRST)
