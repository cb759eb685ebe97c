"""Mistakes that a user can mend.

Everything else that goes wrong while measuring is a result, a
`harness.records.Failure`, and not an exception.
"""


class HarnessError(Exception):
    """A mistake that the user can mend; its text is one line that says how."""


class UnknownName(HarnessError):
    """A variant, dataset, backend or run that does not exist."""


class BadCase(HarnessError):
    """A case that cannot be trained as asked: batch size, threads, device."""


class BadData(HarnessError):
    """A dataset file that cannot be used."""


class BadRun(HarnessError):
    """A run folder that cannot be read or written."""


class BadComparison(HarnessError):
    """Runs that cannot be compared as asked."""
