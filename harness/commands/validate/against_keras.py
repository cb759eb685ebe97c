"""Compare the harness's times with those of plain Keras.

A fresh worker of the harness and a fresh process of `plain_keras` take turns with the same model,
backend and data: rounds of steps, epochs of `fit` over a part of the data and, optionally, the
projected epoch against a whole one.
"""

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import log
from typing import Self

from harness.analyze import stats
from harness.analyze.start_order import without_start_order
from harness.analyze.training.epochs import project
from harness.commands.validate.claims import Check, ratio
from harness.commands.validate.readings import opened, timed
from harness.measure.side import AnyLauncher
from harness.measure.worker_process import WorkerFailed
from harness.records import Case, Fit
from harness.worker import backends

_ROUND_SECONDS = 0.4
_PART_STEPS = 24
_PROJECTED_STEPS = 10
_ROUNDS, _FITS = 16, 3  # pairs a block
_STEP, _PART, _WHOLE = "step time", "`fit` over a part", "projected epoch over a whole one"
_MARGINS = {_STEP: 0.02, _PART: 0.03, _WHOLE: 0.03}


class _PlainKeras:
    """A process of `plain_keras`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @classmethod
    def start(cls, case: Case) -> Self:
        """Start the process and wait until it is ready."""
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "harness.commands.validate.plain_keras",
                case.variant,
                case.dataset,
                str(case.batch_size),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=backends.find(case.backend).environment(case.device, None),
        )
        plain = cls(process)
        plain._read()
        return plain

    def seconds(self, what: str, number: int) -> float:
        """Return the seconds of so many `steps`, or of an `epoch` of so many samples."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{what} {number}\n")
            self._process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        line = "" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            raise WorkerFailed(
                "error", "plain Keras ended; try: python -m harness.commands.validate.plain_keras"
            )
        return line

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _fit(launcher: AnyLauncher, case: Case, steps: int) -> Fit:
    """Time a `fit` in a fresh worker."""
    with opened(launcher, case) as side:
        return side.fit(steps)


def _block(index: int, launcher: AnyLauncher, case: Case, samples: int) -> dict[str, float]:
    """Return ln(harness / plain Keras) of a block, medians over pairs."""
    with contextlib.ExitStack() as rounds, contextlib.ExitStack() as fits:
        # Which side starts first changes its times, so the sides alternate between blocks.
        if index % 2:
            side = rounds.enter_context(opened(launcher, case))
        plain = _PlainKeras.start(case)
        fits.callback(plain.end)
        if index % 2 == 0:
            side = rounds.enter_context(opened(launcher, case))
        steps = max(1, round(_ROUND_SECONDS / plain.seconds("steps", 1)))
        values = {
            _STEP: _paired(
                range(_ROUNDS),
                lambda: timed(side, steps).seconds,
                lambda: plain.seconds("steps", steps),
            )
        }
        rounds.close()
        values[_PART] = _paired(
            range(_FITS),
            lambda: _fit(launcher, case, _PART_STEPS).seconds,
            lambda: plain.seconds("epoch", _PART_STEPS * case.batch_size),
        )
        if samples:
            values[_WHOLE] = _paired(
                [index],
                lambda: project(_fit(launcher, case, _PROJECTED_STEPS), samples),
                lambda: plain.seconds("epoch", samples),
            )
    return values


def _paired(turns: Iterable[int], mine: Callable[[], float], theirs: Callable[[], float]) -> float:
    """Return the median of ln(mine / theirs) over pairs; in odd turns theirs comes first."""
    logs = []
    for turn in turns:
        if turn % 2:
            other, own = theirs(), mine()
        else:
            own, other = mine(), theirs()
        logs.append(log(own / other))
    return statistics.median(logs)


def blocks(
    launcher: AnyLauncher, case: Case, count: int, samples: int = 0
) -> list[dict[str, float]]:
    """Measure blocks of fresh processes: ln(harness / plain Keras) by what was timed.

    Args:
        launcher: Starts the harness's workers.
        case: What is trained.
        count: Blocks.
        samples: Samples of a whole epoch, timed once per block; 0 for none.

    Raises:
        WorkerFailed: one of the sides failed.
    """
    return [_block(index, launcher, case, samples) for index in range(count)]


def judged(found: list[dict[str, float]]) -> Iterator[Check]:
    """Judge the ratios of all blocks."""
    for name in found[0]:
        logs = without_start_order([values[name] for values in found], range(len(found)))
        margin = _MARGINS[name]
        check = ratio(
            f"{name}, harness over plain Keras",
            f"within {100 * margin:.0f} %",
            stats.log_interval(logs),
            margin,
        )
        yield replace(check, n=len(found))
