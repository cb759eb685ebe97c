"""Measures what training a model costs, and how much faster one choice is than another.

Read a run and look at its tables as DataFrames:

    import harness

    run = harness.read("latest")
    run.tables                # names of the tables that have rows
    run.table("levers")       # a pandas.DataFrame, with the columns of tables/levers.csv
    run.run.outcomes          # the measurements themselves
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from harness.records import Case, Failure, Measurement, Run, Training
    from harness.report.saved_run import SavedRun

__all__ = ["Case", "Failure", "HarnessError", "Measurement", "Run", "Training", "read"]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that an interrupt of a command meets no import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness import errors, records

    return getattr(errors if name == "HarnessError" else records, name)


def read(run: str | Path = "latest", results: str | Path = "results") -> "SavedRun":
    """Read a run that was measured earlier; needs no framework and no GPU.

    It is named as in the commands: by its id, a unique beginning of that, its folder, or `latest`.

    Raises:
        HarnessError: there is no such run, or it cannot be read.
    """
    from harness.report.saved_run import SavedRun

    return SavedRun(run, results)
