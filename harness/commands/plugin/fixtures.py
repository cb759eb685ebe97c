"""What the plugin's fixtures give a test: `train`, `climb`, `tune`, `converge`."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.commands.tune import Tuner, wish_of_versions
from harness.errors import HarnessError
from harness.measure.group import Comparison, Wish
from harness.records import Case, Failure, Measurement, Outcome, Training, to_json
from harness.workloads import ladder as ladders
from harness.workloads.ladder import Step
from harness.workloads.matrix import reference_size

if TYPE_CHECKING:
    from harness.commands.session import Session


class Train:
    """What the `train` fixture gives a test.

    Attributes:
        batch_sizes: Of this run.
        reference_size: The batch size that the others are compared with: 256, else the smallest.
    """

    def __init__(self, session: "Session", benchmark: Any) -> None:
        self.session = session
        self._benchmark = benchmark
        self._used = False
        self.batch_sizes = session.settings.batch_sizes
        self.reference_size = reference_size(self.batch_sizes)

    def __call__(
        self,
        variant: str,
        *,
        reference: dict[str, Any] | None = None,
        early_steps: int | None = None,
        **fields: Any,
    ) -> Measurement:
        """Measure once; see the fixture's own text."""
        self.use()
        with _errors_fail_the_test():
            pair = self.session.cases.comparison(differs_in=reference, variant=variant, **fields)
            _skip_where_unavailable(self.session, *pair)
            outcome = self.session.measure(*pair, wish_of(self.session, pair, early_steps))
        return self.replay(outcome)

    def use(self) -> None:
        """Refuse a second training in one test: pytest-benchmark keeps one result."""
        if self._used:
            pytest.fail("a test trains once; parametrize it, or write another", pytrace=False)
        self._used = True

    def replay(self, outcome: Outcome) -> Measurement:
        """Hand a measurement to pytest-benchmark; a failure fails the test."""
        if isinstance(outcome, Failure):
            _fail([outcome])
        _replay(self._benchmark, outcome)
        return outcome


def wish_of(session: "Session", pair: Comparison, given: int | None) -> Wish:
    """Say how a test's comparison is measured: two versions with their early losses."""
    return Wish(given) if session.version is None else wish_of_versions(*pair)


@contextlib.contextmanager
def _errors_fail_the_test() -> Iterator[None]:
    """Fail with one line for a mistake of the user, without a traceback of this package."""
    try:
        yield
    except HarnessError as error:
        pytest.fail(str(error), pytrace=False)


def _skip_where_unavailable(session: "Session", *cases: Case) -> None:
    for case in cases:
        if reason := session.cases.unavailable(case):
            pytest.skip(reason)


def _fail(failures: Sequence[Failure]) -> NoReturn:
    """Fail the test with the messages and the last output of the workers."""
    logs = [f.log_tail for f in failures if f.log_tail]
    lines = [f"{f.kind}: {f.message}" for f in failures]
    log = "\n\nlast output of the worker:\n" if logs else ""
    pytest.fail("\n".join(lines) + log + "\n".join(logs), pytrace=False)


def _replay(benchmark: Any, measurement: Measurement) -> None:
    """Hand the worker's seconds per step to pytest-benchmark, bit for bit.

    The clock reads 0 at the start of a round and the duration at its end, so
    that end - start is the duration itself.
    """
    durations = [r.seconds / r.steps for r in measurement.rounds if r.role == "case"]
    waiting = iter(durations)
    now = 0.0

    def reset() -> None:
        nonlocal now
        now = 0.0

    def advance() -> None:
        nonlocal now
        now = next(waiting, 0.0)  # --benchmark-cprofile asks for one more

    benchmark._timer = lambda: now  # noqa: SLF001  (there is no public way to set it)
    benchmark.pedantic(advance, setup=reset, rounds=len(durations), iterations=1)
    benchmark.extra_info.update(to_json(measurement))


@dataclass(frozen=True, slots=True)
class RungOfLadder:
    """A test's parameter `rung`: a change of a ladder with all its steps.

    The changes are numbered from 1; 0 is the direct comparison of the last step with the first.
    """

    ladder: str
    steps: tuple[Step, ...]
    number: int

    def __str__(self) -> str:
        """Return a part of the test's id."""
        rung = f"rung{self.number}" if self.number else "direct"
        return f"{self.ladder.replace(' ', '_')}-{rung}"


def rungs(name: str, text: str) -> list[RungOfLadder]:
    """List the changes of a ladder, and the direct comparison; HarnessError if it is none."""
    steps = tuple(ladders.steps(text))
    return [RungOfLadder(name, steps, number) for number in (*range(1, len(steps)), 0)]


def climb(train: Train, rung: RungOfLadder, **fields: Any) -> Measurement:
    """Measure a step against the one before, or the last step against the first."""
    session = train.session
    if session.version is None:  # else no change of the ladder is measured
        with _errors_fail_the_test():
            session.runner.keep(session.cases.ladder(rung.ladder, rung.steps, **fields))
    here, before = (rung.number, rung.number - 1) if rung.number else (-1, 0)
    case, reference = rung.steps[here], rung.steps[before]
    differs_in = {"variant": reference.variant, "batch_size": reference.batch_size}
    return train(case.variant, batch_size=case.batch_size, reference=differs_in, **fields)


class Tune:
    """What the `tune` fixture gives a test."""

    def __init__(self, train: Train) -> None:
        self._train = train

    def alone(self, lever: str, variant: str, **fields: Any) -> Measurement:
        """Measure a setting against the plain case; a setting that is unavailable is a skip."""
        outcome = self._tried(variant, fields, lambda tuner: tuner.alone(lever))
        if isinstance(outcome, str):
            pytest.skip(f"{lever}: {outcome}")
        return self._train.replay(outcome)

    def stack(self, variant: str, **fields: Any) -> Measurement:
        """Find the best combination of those settings, and measure it against the plain case."""
        outcome = self._tried(variant, fields, lambda tuner: tuner.stack())
        if outcome is None:
            pytest.skip("no setting is shown to be faster: there is nothing to combine")
        return self._train.replay(outcome)

    def _tried(
        self, variant: str, fields: Mapping[str, Any], search: Callable[[Tuner], Any]
    ) -> Any:
        self._train.use()
        session = self._train.session
        if session.version is not None:
            pytest.skip("compares settings and no versions: harness tune does both")
        with _errors_fail_the_test():
            plain = session.cases.case(variant=variant, **fields)
            _skip_where_unavailable(session, plain)
            return search(Tuner(session, plain, list(session.unavailable_levers)))


def converge(
    session: "Session",
    variants: Sequence[str],
    batch_sizes: Sequence[int] | None,
    *,
    seed: int,
    references: Mapping[str, str] | None = None,
    **fields: Any,
) -> list[Training]:
    """Run the full trainings of one seed, the fields in every case; see the fixture's own text."""
    epochs = 1 if session.smoke else None
    fields = {"seed": seed, **fields}
    with _errors_fail_the_test():
        recipes = session.cases.recipes(variants, batch_sizes, epochs, references or {}, fields)
        _skip_where_unavailable(session, *(recipe.case for recipe in recipes))
        ends = session.runner.train(recipes)
    if not ends:
        pytest.skip("the time limit leaves no room for another seed")
    if failures := [end for end in ends if isinstance(end, Failure)]:
        _fail(failures)
    return [end for end in ends if isinstance(end, Training)]
