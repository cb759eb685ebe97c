"""Mistakes that a user can mend.

Everything else that goes wrong while measuring is a result, a
`harness.records.Failure`, and not an exception.
"""

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """A mistake that the user can mend; its text is one line that says how."""


class UnknownName(HarnessError):
    """A variant, dataset, backend or run that does not exist."""


def similar(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> str:
    """The known names that are similar to a wrong one, else all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, most, cutoff)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"


class BadCase(HarnessError):
    """A case that cannot be trained as asked: batch size, threads, device."""


class BadData(HarnessError):
    """A dataset file that cannot be used."""


class BadRun(HarnessError):
    """A run folder that cannot be read or written."""


class BadComparison(HarnessError):
    """Runs that cannot be compared as asked."""
