"""The harness's times against those of plain Keras, timed by hand.

A fresh worker of the harness and a fresh process of `bare` take turns with the same model,
backend and data: rounds of steps, epochs of `fit` over a part of the data, and, if wanted, the
projected epoch against a whole one.
"""

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from math import log

from harness.analyze import stats
from harness.analyze.epochs import project
from harness.measure import backends
from harness.measure.launcher import Launcher, WorkerFailed
from harness.records import Case, Fit, from_json
from harness.validate.checks import Check, ratio
from harness.validate.readings import opened

_ROUND_SECONDS = 0.4
_PART_STEPS = 24
_PROJECTED_STEPS = 10
_STEP, _PART, _WHOLE = "step time", "`fit` over a part", "projected epoch over a whole one"
_MARGINS = {_STEP: 0.02, _PART: 0.03, _WHOLE: 0.03}


class _Bare:
    """The other side, as a process."""

    def __init__(self, case: Case) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "harness.validate.bare",
                case.variant,
                case.dataset,
                str(case.batch_size),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=backends.environment(case.backend, case.device, None),
        )
        self._read()

    def ask(self, what: str, number: int) -> float:
        """Return the seconds of so many steps, or of an epoch of so many samples."""
        assert self._process.stdin is not None  # noqa: S101  (a pipe was asked for)
        self._process.stdin.write(f"{what} {number}\n")
        self._process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailed("error", "plain Keras ended; try: python -m harness.validate.bare")
        return line

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _fit(launcher: Launcher, case: Case, steps: int) -> Fit:
    """Have a fresh worker time a `fit`; it is the last thing that a worker does."""
    with opened(launcher, case) as worker:
        return from_json(Fit, worker.ask("fit", steps=steps)["fit"])


def _block(index: int, launcher: Launcher, case: Case, samples: int) -> dict[str, float]:
    """Return ln(harness / bare) of the block, medians over pairs."""
    bare = _Bare(case)

    def pair(turn: int, mine: Callable[[], float], theirs: Callable[[], float]) -> float:
        if turn % 2 == 0:
            first = mine()
            return log(first / theirs())
        other = theirs()
        return log(mine() / other)

    try:
        with opened(launcher, case) as worker:
            once = bare.ask("steps", 1)
            steps = max(1, round(_ROUND_SECONDS / once))
            values = {
                _STEP: statistics.median(
                    pair(
                        turn,
                        lambda: float(worker.ask("round", steps=steps)["seconds"]),
                        lambda: bare.ask("steps", steps),
                    )
                    for turn in range(16)
                )
            }
        values[_PART] = statistics.median(
            pair(
                turn,
                lambda: _fit(launcher, case, _PART_STEPS).seconds,
                lambda: bare.ask("epoch", _PART_STEPS * case.batch_size),
            )
            for turn in range(3)
        )
        if samples:
            values[_WHOLE] = pair(
                index,
                lambda: project(_fit(launcher, case, _PROJECTED_STEPS), samples),
                lambda: bare.ask("epoch", samples),
            )
    finally:
        bare.end()
    return values


def blocks(launcher: Launcher, case: Case, count: int, samples: int = 0) -> list[dict[str, float]]:
    """Measure blocks of fresh processes: ln(harness / plain Keras) by what was timed.

    Args:
        launcher: Starts the harness's workers.
        case: What is trained.
        count: Blocks.
        samples: Of a whole epoch, to time one a block; 0 for none.

    Raises:
        WorkerFailed: one of the sides failed.
    """
    return [_block(index, launcher, case, samples) for index in range(count)]


def judged(found: list[dict[str, float]]) -> Iterator[Check]:
    """Judge the ratios of all blocks."""
    for name in found[0]:
        estimate = stats.log_interval([values[name] for values in found])
        margin = _MARGINS[name]
        yield ratio(
            f"{name}, harness over plain Keras", f"within {100 * margin:.0f} %", estimate, margin
        )
