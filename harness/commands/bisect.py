"""`harness bisect`: the commit that made a model slower, by paired comparisons with a good one."""

import argparse
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness import units
from harness.commands import options, output, values
from harness.commands.measured import measured
from harness.commands.options import Settings
from harness.commands.session import Session
from harness.errors import BadCase
from harness.measure.versions.bisection import Bisection
from harness.measure.versions.git import Repository
from harness.measure.versions.open_version import Wanted, open_version
from harness.records import Case, Failure, Measurement

if TYPE_CHECKING:
    from harness.analyze.versions.bisect import Side
    from harness.report.files import Written

_SHORT = 7  # digits of a hash


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser("bisect", help="find the commit that made a model slower")
    parser.add_argument("model", metavar="MODEL", help="as for run, in a file of a repository")
    parser.add_argument("--good", metavar="REV", required=True, help="a commit that is fast")
    bad = "a later commit that is slow (default: HEAD)"
    parser.add_argument("--bad", metavar="REV", default="HEAD", help=bad)
    size = "in samples per step (default: 256)"
    parser.add_argument("--batch-size", metavar="N", default="256", help=size)
    options.finish(parser, "bisect", bisect)


def bisect(arguments: argparse.Namespace) -> int:
    """Measure the bad commit against the good one, then those between until one is left."""
    size = values.named("--batch-size", values.count, arguments.batch_size)
    model = arguments.model
    repository = Repository.of(Path(model.rpartition(":")[0] or model))
    with contextlib.ExitStack() as stack:
        search = Bisection.between(repository, arguments.good, arguments.bad)
        steps = Steps(model, size, search, stack)
        return measured(arguments, steps.take, steps.conclude, until_decided=True)


@dataclass
class Steps:
    """The steps of a search in a session.

    Attributes:
        model: As the user has named it.
        batch_size: Of all comparisons.
        search: Which commits are left.
        stack: Closes the versions.
        sides: What each commit has shown, in the order of the steps.
        skipped: Why a commit could not be tried.
        limit: Speedup below which a commit is slow; None until the slow commit is measured.
    """

    model: str
    batch_size: int
    search: Bisection
    stack: contextlib.ExitStack
    sides: "dict[str, Side]" = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    limit: float | None = None

    def take(self, session: Session) -> bool:
        """Take all steps; False if there is no slowdown to search for."""
        from harness.analyze.versions import bisect as judge

        session.check()
        session.is_decided = lambda m: judge.is_decided(m, self.limit)
        good, bad = self.search.good[0], self.search.bad
        reference = self._case(session, good)
        if failed := session.cases.untrainable(reference):
            raise BadCase(f"--good {good[:_SHORT]} cannot be trained: {failed}")
        slow = self._measure(session, bad, reference)
        if not isinstance(slow, Measurement):
            raise BadCase(f"--bad {bad[:_SHORT]} cannot be measured: {slow}")
        if not judge.is_slower(slow):
            return False
        self.limit = judge.halfway(slow)
        looks = session.protocol.looks
        self.sides[bad] = judge.side(slow, self.limit, looks)
        while (commit := self.search.next()) is not None:
            left = len(self.search.left()) - 1
            session.say(f"{units.plural(left, 'commit')} left to try: {commit[:_SHORT]}")
            outcome = self._measure(session, commit, reference)
            if not isinstance(outcome, Measurement):
                self.search.skipped.append(commit)
                self.skipped[commit] = outcome
                continue
            its = self.sides[commit] = judge.side(outcome, self.limit, looks)
            if its.slow:
                self.search.bad = commit
            else:
                self.search.good.append(commit)
        return True

    def _case(self, session: Session, commit: str) -> Case:
        wanted, settings = Wanted(commit), session.settings
        version = open_version(wanted, [self.model], settings.backend, settings.output)
        self.stack.callback(version.close)
        version.check(self.model)
        session.places |= version.places
        name = version.version.name
        return session.cases.case(variant=self.model, batch_size=self.batch_size, version=name)

    def _measure(self, session: Session, commit: str, reference: Case) -> Measurement | str:
        """Compare a commit with the good one; or say why it cannot be."""
        try:
            case = self._case(session, commit)
        except BadCase as error:
            return str(error)
        if failed := session.cases.untrainable(case):
            return str(failed)
        session.expect(1)
        outcome = session.measure(case, reference)
        return outcome.message if isinstance(outcome, Failure) else outcome

    def conclude(self, _: Settings, __: "Written") -> output.Conclusion:
        """Name the commit, and how sure that is."""
        from harness.analyze.versions import bisect as judge
        from harness.records import to_json
        from harness.tables.declare import speedup_of

        if self.limit is None:
            lines = ("the bad commit is not shown to be slower than the good one",)
            return output.Conclusion(lines, {"bisect": None}, failed=True)
        untried = 0 if self.search.next() is None else len(self.search.left()) - 1
        found = self.search.found()
        sure = judge.confidence(self.sides.values())
        steps = [
            f"  {'slow' if its.slow else 'fast'}: {commit[:_SHORT]}: {speedup_of(its.speedup)}, "
            f"wrong with a probability of {100 * its.wrong:.2g} % at most"
            for commit, its in self.sides.items()
        ]
        steps += [f"  skipped: {c[:_SHORT]}: {why}" for c, why in self.skipped.items()]
        names = [f"{commit[:10]} {self.search.subject(commit)}" for commit in found]
        if untried:
            many = units.plural(untried, "commit")
            steps.append(f"not finished: {many} before {names[-1]} may be the first slow one")
            found = []
        else:
            what = "first slow commit" if len(found) == 1 else "the first slow commit is one of"
            steps.append(f"{what}: {'; '.join(names)} (confidence {100 * sure:.1f} %)")
        document = {
            "found": found,
            "untried": untried,
            "confidence": sure,
            "steps": {commit: to_json(its) for commit, its in self.sides.items()},
            "skipped": self.skipped,
        }
        return output.Conclusion(tuple(steps), {"bisect": document}, failed=len(found) != 1)
