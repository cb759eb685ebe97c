"""What is computed from one run, each part once."""

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from harness.analyze.cases import CaseData, collect
from harness.analyze.moderation import Speedups
from harness.analyze.roles import Roles
from harness.records import Case, Run

R = TypeVar("R")


class _Rows(Protocol[R]):
    """A declared table, as far as an analysis must know of one."""

    @property
    def name(self) -> str: ...
    @property
    def rows(self) -> "Callable[[Analysis], list[R]]": ...


class Analysis:
    """One run with everything that is derived from it; console, page and files share it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._rows: dict[str, list[Any]] = {}

    def rows(self, table: _Rows[R]) -> list[R]:
        """Return the rows of a table."""
        if table.name not in self._rows:
            self._rows[table.name] = table.rows(self)
        return self._rows[table.name]

    @functools.cached_property
    def roles(self) -> Roles:
        """Which comparison belongs to which table."""
        return Roles(self.run)

    @property
    def speedups(self) -> Speedups:
        """The speedups of all comparisons, each judged by what all tell about scatter."""
        return self.roles.speedups

    @functools.cached_property
    def cases(self) -> list[CaseData]:
        """All that was observed of each case, in the order of measuring, batch sizes sorted."""
        return collect(self.roles)

    @functools.cached_property
    def observed(self) -> dict[Case, CaseData]:
        """The same by case."""
        return {data.case: data for data in self.cases}
