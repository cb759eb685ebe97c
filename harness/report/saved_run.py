"""A run from its folder, with its tables as DataFrames: what `harness.read` returns."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness import tables
from harness.analyze.analysis import Analysis
from harness.errors import UnknownName
from harness.records import Run, folders
from harness.report.names import shortened

if TYPE_CHECKING:
    import pandas as pd


class SavedRun:
    """A run that was measured earlier.

    Attributes:
        folder: Where `run.json` lies.
        run: All that was measured; paths of models are shortened as in the files of the run.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self.run = run
        self._analysis = Analysis(run)

    @classmethod
    def read(cls, name: str | Path, results: str | Path) -> "SavedRun":
        """Read a run; see `harness.read`."""
        folder = folders.locate(str(name), Path(results))
        with folders.errors_as_bad_run(folder):
            return cls(folder, shortened(folders.read(folder)))

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
