"""Runs of two versions: how they differ, when a comparison is decided, and whether it fails."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from harness.commands.options import Settings
from harness.commands.output import Conclusion
from harness.errors import BadCase
from harness.records import Change, Measurement, Version

if TYPE_CHECKING:
    from harness.report.files import Written

_MOST_NAMED = 8
_FIRST = ("Python", "keras", "tensorflow", "jax", "jaxlib", "torch", "numpy")
_KINDS = {"file": "files", "library": "libraries", "variable": "variables"}


def check(settings: Settings) -> None:
    """Refuse options that need two versions, or intervals, where there are none.

    Raises:
        BadCase: the text says which.
    """
    dash = settings.prefix
    given = {
        f"{dash}fail-if-slower": settings.fail_if_slower is not None,
        f"{dash}fail-if-more-memory": settings.fail_if_more_memory is not None,
        f"{dash}until-decided": "until_decided" in settings.given,  # some commands always do
    }
    for name in (name for name, is_given in given.items() if is_given):
        if not settings.wanted_version:
            versions = f"{dash}reference-rev, {dash}reference-python or {dash}reference-env"
            raise BadCase(f"{name} compares two versions: name the other by {versions}")
        if settings.effort == "quick":
            raise BadCase(
                f"{name} could never fail: quick effort has no intervals; use {dash}effort default"
            )
    if given[f"{dash}until-decided"] and settings.effort != "default":
        raise BadCase(f"{dash}until-decided goes on by itself; leave out {dash}effort")
    if settings.wanted_version and settings.hosts is not None:
        raise BadCase(f"two versions are compared on one host; leave out {dash}hosts")


def decided_by(settings: Settings) -> Callable[[Measurement], bool] | None:
    """Return what says that the thresholds decide a comparison; None without a threshold."""
    from harness.analyze.versions import gate

    slower, more_memory = settings.fail_if_slower, settings.fail_if_more_memory
    if slower is None and more_memory is None:
        if not settings.until_decided:
            return None
        slower = gate.UNTIL_DECIDED
    return lambda m: gate.is_decided(m, slower, more_memory)


def conclude(settings: Settings, written: "Written") -> Conclusion:
    """Judge a run by its thresholds."""
    from harness.analyze.versions import gate
    from harness.report import names
    from harness.report.pull_request import gates

    found = gate.judge(
        written.analysis,
        settings.fail_if_slower,
        settings.fail_if_more_memory,
        lambda outcome: names.sides(outcome.case, outcome.reference)[0],
    )
    failed = any(one.crossed for one in found)
    return Conclusion(
        tuple(gates.lines(found, settings.prefix)), {"gates": gates.document(found)}, failed=failed
    )


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
