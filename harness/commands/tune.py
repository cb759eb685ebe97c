"""Search for the levers that make a case faster: each alone, then the best on top of each other."""

import dataclasses
import math
from typing import TYPE_CHECKING

from harness.analyze import levers as judged
from harness.analyze import stats
from harness.records import Attempt, Case, Measurement, Outcome
from harness.workloads import levers

if TYPE_CHECKING:
    from harness.commands.session import Workbench

_EARLY_STEPS = 32  # and more where an execution is longer than half of them


class Tuner:
    """Tries levers on a case and notes what it tried in the run.

    Args:
        workbench: That of the run.
        plain: The case with no lever moved.
        smoke: One round a side, to see that it works.
    """

    def __init__(self, workbench: "Workbench", plain: Case, *, smoke: bool = False) -> None:
        self._workbench = workbench
        self._plain = plain
        self._smoke = smoke

    def alone(self, lever: str) -> Outcome | str:
        """Measure a lever against the plain case; or say why it cannot be tried here.

        Raises:
            HarnessError: no such lever.
        """
        reason = levers.unavailable(lever, self._plain)
        if reason is not None:
            self._note(Attempt(lever, self._plain, self._plain, reason))
            return reason
        self._note_lacking()
        return self._measure(lever, self._plain)

    def _note_lacking(self) -> None:
        """Those that are known not to be possible here, and so were not asked for."""
        for lever in self._workbench.lacking:
            if reason := levers.unavailable(lever, self._plain):
                self._note(Attempt(lever, self._plain, self._plain, reason))

    def stack(self, reserved: int = 1) -> Outcome | None:
        """Find a stack by greedy search, and measure it against the plain case.

        The levers that are faster alone, the fastest first, each on top of those taken so far; it
        is taken if it is faster there as well. One that changes what is learned is not.

        Args:
            reserved: How many of its comparisons were expected already.

        Returns:
            The stack against the plain case; None where no lever is worth taking.
        """
        self._note_lacking()
        candidates = self._candidates()
        self._workbench.expect_more(len(candidates) - reserved)
        taken = candidates[:1]  # it has been measured on top of nothing
        current = levers.change(self._plain, taken[0]) if taken else self._plain
        for lever in candidates[1:]:
            if any(levers.names(lever) & levers.names(other) for other in taken):
                continue
            found = self._measure(lever, current)
            if isinstance(found, Measurement) and judged.worth(found):
                taken.append(lever)
                current = found.case
        known = self._workbench.tuning(self._plain)
        self._workbench.keep(dataclasses.replace(known, stack=tuple(taken), stacked=current))
        return self._outcome(current, self._plain) if taken else None

    def _candidates(self) -> list[str]:
        """The levers that are worth taking alone, the fastest first."""
        run = self._workbench.run()
        found = {o.key: o for o in run.outcomes if isinstance(o, Measurement)}
        speedups = {
            attempt.lever: stats.speedup(found[attempt.key]).value
            for attempt in self._workbench.tuning(self._plain).attempts
            if attempt.reference == self._plain
            and attempt.key in found
            and not levers.changes_learning(attempt.lever)
            and judged.worth(found[attempt.key])
        }
        return sorted(speedups, key=lambda lever: -speedups[lever])

    def _measure(self, lever: str, reference: Case) -> Outcome:
        case = levers.change(reference, lever)
        note, environment = levers.note(lever, reference), levers.environment(case)
        self._note(Attempt(lever, case, reference, note=note, environment=environment))
        return self._outcome(case, reference)

    def _outcome(self, case: Case, reference: Case) -> Outcome:
        strides = (case.steps_per_execution, reference.steps_per_execution)
        early = 2 * math.lcm(_EARLY_STEPS // 2, *strides)
        return self._workbench.measure(case, reference, smoke=self._smoke, early_steps=early)

    def _note(self, attempt: Attempt) -> None:
        known = self._workbench.tuning(self._plain, smoke=self._smoke)
        if all((a.lever, a.key) != (attempt.lever, attempt.key) for a in known.attempts):
            self._workbench.keep(dataclasses.replace(known, attempts=(*known.attempts, attempt)))
