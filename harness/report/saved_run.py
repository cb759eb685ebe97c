"""A run from its folder, with its tables as DataFrames: what `harness.read` returns."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness import tables
from harness.analyze.analysis import Analysis
from harness.errors import UnknownName
from harness.records import folders
from harness.report.names import shortened

if TYPE_CHECKING:
    import pandas as pd


class SavedRun:
    """A run that was measured earlier, read as `harness.read` says."""

    def __init__(self, name: str | Path, results: str | Path) -> None:
        self.folder = folders.locate(str(name), Path(results))  # where `run.json` lies
        with folders.errors_as_bad_run(self.folder):
            # Paths of models are shortened as in the files of the run.
            self.run = shortened(folders.read(self.folder))
        self._analysis = Analysis(self.run)

    @property
    def tables(self) -> list[str]:
        """Names of the tables that have a row, in the order in which they are shown."""
        with folders.errors_as_bad_run(self.folder):
            return [table.name for table in tables.TABLES if self._analysis.rows(table)]

    def table(self, name: str) -> "pd.DataFrame":
        """Return a table with the columns of its CSV file; without rows if nothing belongs to it.

        Raises:
            UnknownName: no table has this name.
            BadRun: the run is damaged.
        """
        known = [table.name for table in tables.TABLES]
        if name not in known:
            raise UnknownName(f"no table {name!r}; known: {', '.join(known)}")
        with folders.errors_as_bad_run(self.folder):
            return tables.frame(self._analysis, name)
