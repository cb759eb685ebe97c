"""Mistakes that a user can mend.

Everything else that goes wrong while measuring is a result, a
`harness.records.Failure`, and not an exception.
"""


class HarnessError(Exception):
    """A mistake that the user can mend; its text is one line that says how."""


class UnknownName(HarnessError):  # noqa: N818  (reads as a sentence where it is raised)
    """A variant, dataset, backend or run that does not exist."""


class BadCase(HarnessError):  # noqa: N818
    """A case that cannot be trained as asked: batch size, threads, device."""


class BadData(HarnessError):  # noqa: N818
    """A dataset file that cannot be used."""


class BadRun(HarnessError):  # noqa: N818
    """A run folder that cannot be read or written."""


class BadComparison(HarnessError):  # noqa: N818
    """Runs that cannot be compared as asked."""
