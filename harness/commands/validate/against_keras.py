"""Compare the harness's times with those of plain Keras.

A fresh worker of the harness and a fresh process of `plain_keras` take turns with the same model,
backend and data: rounds of steps, epochs of `fit` over a part of the data and, optionally, the
projected epoch against a whole one.
"""

import contextlib
import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

from harness.analyze import stats
from harness.analyze.start_order import without_start_order
from harness.analyze.training.epochs import project
from harness.commands.validate.claims import Check, ratio
from harness.commands.validate.readings import opened, paired, timed
from harness.measure.side import AnyLauncher
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Fit
from harness.worker import backends

_ROUND_SECONDS = 0.4
_PART_STEPS = 24
_PROJECTED_STEPS = 10
_ROUNDS, _FITS = 16, 3  # pairs a block
_STEP, _PART, _WHOLE = "step time", "`fit` over a part", "projected epoch over a whole one"
_PLAIN = "harness.commands.validate.plain_keras"
_MARGINS = {_STEP: 0.02, _PART: 0.03, _WHOLE: 0.03}


@contextlib.contextmanager
def _plain_keras(case: Case) -> Iterator[Callable[[str, int], float]]:
    """Start a process of `plain_keras`, wait until it is ready, and end it.

    Yields a function that returns the seconds of so many `steps`, or of an `epoch` of so many
    samples.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", _PLAIN, case.variant, case.dataset, str(case.batch_size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=backends.find(case.backend).environment(case.device, None),
    )
    requests, answers = process.stdin, process.stdout
    assert requests is not None
    assert answers is not None

    def read() -> str:
        if line := answers.readline():
            return line
        raise WorkerFailed("error", f"plain Keras ended; try: python -m {_PLAIN}")

    def seconds(what: str, number: int) -> float:
        print(what, number, file=requests, flush=True)
        return float(read())

    try:
        read()
        yield seconds
    finally:
        process.kill()
        process.communicate()


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
        plain = fits.enter_context(_plain_keras(case))
        if index % 2 == 0:
            side = rounds.enter_context(opened(launcher, case))
        steps = max(1, round(_ROUND_SECONDS / plain("steps", 1)))
        values = {}
        values[_STEP] = paired(
            range(_ROUNDS), lambda: timed(side, steps).seconds, lambda: plain("steps", steps)
        )
        rounds.close()
        fit, part = functools.partial(_fit, launcher, case), _PART_STEPS * case.batch_size
        values[_PART] = paired(
            range(_FITS), lambda: fit(_PART_STEPS).seconds, lambda: plain("epoch", part)
        )
        if samples:
            whole = functools.partial(plain, "epoch", samples)
            values[_WHOLE] = paired([index], lambda: project(fit(_PROJECTED_STEPS), samples), whole)
    return values


def blocks(
    launcher: AnyLauncher, case: Case, count: int, samples: int = 0
) -> list[dict[str, float]]:
    """Measure blocks of fresh processes: ln(harness / plain Keras) by what was timed.

    A whole epoch of `samples` is timed once per block; 0 for none. A side that fails raises
    `WorkerFailed`.
    """
    return [_block(index, launcher, case, samples) for index in range(count)]


def judged(found: list[dict[str, float]]) -> Iterator[Check]:
    """Judge the ratios of all blocks."""
    for name in found[0]:
        logs = without_start_order([values[name] for values in found], range(len(found)))
        estimate = replace(stats.log_interval(logs), n=len(found))
        yield ratio(f"{name}, harness over plain Keras", estimate, _MARGINS[name])
