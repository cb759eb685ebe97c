"""`harness tune`: search for the settings that make a model train faster."""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from harness.analyze import stats
from harness.analyze.levers import worth
from harness.commands import options, output, values
from harness.commands.measured import measured
from harness.commands.session import Session
from harness.measure.group import Wish
from harness.records import Attempt, Case, Failure, Measurement, Outcome, Tuning
from harness.records.protocol import FEWEST_BLOCKS
from harness.workloads import levers, registry

# Steps after which losses are compared; more where an execution is longer than half of them.
_EARLY_STEPS, _EARLY_STEPS_OF_VERSIONS = 32, 8
_ON_THE_WAY = 4  # comparisons until the best combination is found, about


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser("tune", help="find the settings that make a model train faster")
    parser.add_argument("model", metavar="MODEL", help="as for run")
    size = "in samples per step (default: 256)"
    parser.add_argument("--batch-size", metavar="N", default="256", help=size)
    options.finish(parser, "tune", tune)


def tune(arguments: argparse.Namespace) -> int:
    """Try every setting on a model, and find the best combination; one that fails is a result."""
    size = values.named("--batch-size", values.count, arguments.batch_size)
    model = arguments.model
    return measured(arguments, lambda session: _tune(session, model), batch_sizes=(size,))


def _tune(session: Session, model: str) -> bool:
    settings = session.settings
    registry.check(model)
    session.check([(model, settings.batch_sizes[0])], [model])
    session.cases.check_device(settings.devices[0])
    plain = session.cases.case(variant=model)  # without any setting, on the first device
    if session.cases.untrainable(plain):
        session.measure(plain, plain)
        return False
    wanted = settings.levers or session.cases.levers(plain)
    reasons = {lever: session.cases.unavailable(plain, lever) for lever in wanted}
    tuner = Tuner(session, plain, [lever for lever in wanted if reasons[lever]])
    possible = [lever for lever in wanted if not reasons[lever]]
    session.expect(len(possible) + _ON_THE_WAY)
    for case in (levers.change(plain, lever) for lever in possible):
        session.plan([(case, plain)], wish(case, plain))
    for lever in possible:
        tuner.alone(lever)
    stacked = tuner.stack(_ON_THE_WAY)
    alike = _against_version(session, [plain, *([stacked.case] if stacked else [])])
    return alike and not isinstance(stacked, Failure)


def _against_version(session: Session, cases: Sequence[Case]) -> bool:
    """Compare cases with the other version, if there is one; False if one could not be."""
    version = session.version
    if version is None:
        return True
    session.expect(len(cases))
    pairs = [(case, dataclasses.replace(case, version=version.name)) for case in cases]
    wishes = {pair: wish_of_versions(*pair) for pair in pairs}
    outcomes = [session.measure(*pair, wish) for pair, wish in wishes.items()]
    return not any(isinstance(outcome, Failure) for outcome in outcomes)


def wish(case: Case, reference: Case) -> Wish:
    """Say how a setting is measured: screened, and its early losses are compared."""
    return Wish(_early_steps(case, reference, _EARLY_STEPS), screened=True)


def wish_of_versions(case: Case, reference: Case) -> Wish:
    """Say how two versions are measured: in as many blocks with early losses as have an interval.

    So many blocks also time a `fit` of the case.
    """
    steps = _early_steps(case, reference, _EARLY_STEPS_OF_VERSIONS)
    return Wish(steps, early_blocks=FEWEST_BLOCKS)


def _early_steps(case: Case, reference: Case, steps: int) -> int:
    """Return the steps after which the losses of both sides are compared."""
    strides = (case.steps_per_execution, reference.steps_per_execution)
    return 2 * math.lcm(steps // 2, *strides)


class Tuner:
    """Tries settings on a plain case and records every attempt in the run.

    Settings that are `unavailable` here are recorded with the reason.
    """

    def __init__(self, session: Session, plain: Case, unavailable: Sequence[str] = ()) -> None:
        self._session = session
        self._plain = plain
        self._unavailable = unavailable

    def alone(self, lever: str) -> Outcome | str:
        """Measure a setting against the plain case; or say why it cannot be tried here."""
        if reason := self._refused(lever):
            return reason
        for other in self._unavailable:
            self._refused(other)
        return self._measure(lever, self._plain)

    def _refused(self, lever: str) -> str | None:
        if reason := levers.unavailable(lever, self._plain):
            self._note(Attempt(lever, self._plain, self._plain, reason))
        return reason

    def stack(self, reserved: int = 1) -> Outcome | None:
        """Find the best combination by greedy search, and measure it against the plain case.

        The settings that are faster alone are tried on top of those kept so far, the fastest
        first; a setting is kept if it is faster there as well. A setting that changes what is
        learned is never kept.

        So many of its comparisons as are `reserved` were expected already. None where no setting
        is worth keeping.
        """
        for lever in self._unavailable:
            self._refused(lever)
        candidates = self._candidates()
        self._session.expect(len(candidates) - reserved)
        kept = candidates[:1]  # it has been measured on top of nothing
        current = levers.change(self._plain, kept[0]) if kept else self._plain
        for lever in candidates[1:]:
            if any(levers.names(lever) & levers.names(other) for other in kept):
                continue
            found = self._measure(lever, current)
            if isinstance(found, Measurement) and worth(found):
                kept.append(lever)
                current = found.case
        self._keep(stack=tuple(kept), stacked=current)
        return self._outcome(current, self._plain) if kept else None

    def _candidates(self) -> list[str]:
        """The settings that are worth keeping alone, the fastest first."""
        outcomes = self._session.runner.run().outcomes
        found = {o.key: o for o in outcomes if isinstance(o, Measurement)}
        speedups = {
            attempt.lever: stats.speedup(found[attempt.key]).value
            for attempt in self._tuning().attempts
            if not attempt.reason
            and attempt.reference == self._plain
            and attempt.key in found
            and not levers.changes_learning(attempt.lever)
            and worth(found[attempt.key])
        }
        return sorted(speedups, key=lambda lever: -speedups[lever])

    def _measure(self, lever: str, reference: Case) -> Outcome:
        case = levers.change(reference, lever)
        note, environment = levers.note(lever, reference), levers.environment(case)
        self._note(Attempt(lever, case, reference, note=note, environment=environment))
        return self._outcome(case, reference)

    def _outcome(self, case: Case, reference: Case) -> Outcome:
        return self._session.measure(case, reference, wish(case, reference))

    def _note(self, attempt: Attempt) -> None:
        attempts = self._tuning().attempts
        if all((a.lever, a.key) != (attempt.lever, attempt.key) for a in attempts):
            self._keep(attempts=(*attempts, attempt))

    def _tuning(self) -> Tuning:
        """What this run has tried so far on the case."""
        return self._session.runner.kept(Tuning, self._plain.id) or Tuning(self._plain)

    def _keep(self, **changes: Any) -> None:
        self._session.runner.keep(dataclasses.replace(self._tuning(), **changes))
