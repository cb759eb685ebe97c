"""Which comparisons the collected tests ask for, so that they can be measured together.

Each test is called with fixtures that stop at its measurement. A test that needs a fixture of the
user's is not called: its comparison is measured alone.
"""

import contextlib
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.commands.plugin.fixtures import Train, climb, wish_of
from harness.commands.tune import wish
from harness.measure.group import Comparison, Wish
from harness.workloads import levers

if TYPE_CHECKING:
    from harness.commands.session import Session


class _Asked(BaseException):
    """A test has asked for a comparison; not an `Exception`, so that the test does not catch it."""

    def __init__(self, comparison: Comparison, wish: Wish) -> None:
        super().__init__(comparison)
        self.comparison = comparison
        self.wish = wish


class _PlannedTrain(Train):
    def __call__(
        self,
        variant: str,
        *,
        reference: dict[str, Any] | None = None,
        early_steps: int | None = None,
        **fields: Any,
    ) -> NoReturn:
        made = self.session.cases.comparison(differs_in=reference, variant=variant, **fields)
        raise _Asked(made, wish_of(self.session, made, early_steps))


class _PlannedTune:
    def __init__(self, session: "Session") -> None:
        self._session = session

    def alone(self, lever: str, variant: str, **fields: Any) -> None:
        plain = self._session.cases.case(variant=variant, **fields)
        if levers.unavailable(lever, plain) is None:
            case = levers.change(plain, lever)
            raise _Asked((case, plain), wish(case, plain))

    def stack(self, *_: Any, **__: Any) -> None:
        """What is combined is known once each setting is measured."""


def plan(items: Sequence[pytest.Item], session: "Session") -> None:
    """Plan the comparisons of tests in groups."""
    train = _PlannedTrain(session, None)
    fixtures = {
        "train": train,
        "climb": functools.partial(climb, train),
        "tune": _PlannedTune(session),
    }
    for item in items:
        function = getattr(item, "obj", None)
        names = getattr(getattr(item, "_fixtureinfo", None), "argnames", ())
        given = {**fixtures, **(item.callspec.params if hasattr(item, "callspec") else {})}
        if function is None or not set(names) <= set(given):
            continue
        try:
            # What is wrong with the test is said when the test itself runs.
            with contextlib.suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
                function(**{name: given[name] for name in names})
        except _Asked as asked:
            if not any(map(session.cases.unavailable, asked.comparison)):
                session.plan([asked.comparison], asked.wish)
