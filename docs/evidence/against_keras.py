"""Do the harness's times agree with those of plain Keras, timed by hand?

A fresh worker of the harness and a fresh `bare_keras.py` take turns with the
same model, backend and data: rounds of steps, epochs of `fit` over a part of the data,
and, once a block, the projected epoch against a whole one. Run as
`python docs/evidence/against_keras.py`.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from math import log
from pathlib import Path
from typing import Any

from harness import units
from harness.analyze import stats
from harness.analyze.epochs import project
from harness.measure import backends
from harness.measure.launcher import Launcher, Worker
from harness.measure.machine import usable_cpus
from harness.records import Case, Fit, from_json, to_json
from harness.workloads import datasets

ROUND_STEPS = 3
PART_STEPS = 24
PROJECTED_STEPS = 10


class Bare:
    """The other side: `bare_keras.py` as a process."""

    def __init__(self, case: Case) -> None:
        script = Path(__file__).with_name("bare_keras.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), case.variant, case.dataset, str(case.batch_size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=backends.environment(case.backend, case.device, None),
        )
        self._read()

    def ask(self, what: str, number: int) -> float:
        """Return the seconds of so many steps, or of an epoch of so many samples."""
        self._process.stdin.write(f"{what} {number}\n")
        self._process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("bare_keras.py ended")
        return line

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


class Ours:
    """This side: fresh workers, used as a block of the protocol uses them."""

    def __init__(self, launcher: Launcher, case: Case) -> None:
        self._launcher = launcher
        self._case = case

    def start(self) -> Worker:
        """Start a worker and warm it up."""
        worker = self._launcher.start(self._case, timeout=300.0)
        worker.ask("open", case=to_json(self._case), cpus=usable_cpus())
        worker.ask("warm_up", seconds=1.0, floor_seconds=0.0)
        return worker

    def end(self, worker: Worker) -> None:
        """End a worker."""
        self._launcher.end(worker)

    def fit(self, steps: int) -> Fit:
        """Have a fresh worker time a `fit`; it is the last thing that a worker does."""
        worker = self.start()
        fit = from_json(Fit, worker.ask("fit", steps=steps)["fit"])
        self.end(worker)
        return fit


def block(index: int, ours: Ours, bare: Bare, batch: int, samples: int) -> dict[str, float]:
    """Return ln(harness / bare) of the block: medians over pairs for steps and parts."""

    def pair(turn: int, mine: Any, theirs: Any) -> float:
        if turn % 2 == 0:
            first = mine()
            return log(first / theirs())
        other = theirs()
        return log(mine() / other)

    worker = ours.start()
    step = statistics.median(
        pair(
            turn,
            lambda: worker.ask("round", steps=ROUND_STEPS)["seconds"],
            lambda: bare.ask("steps", ROUND_STEPS),
        )
        for turn in range(16)
    )
    ours.end(worker)
    part = statistics.median(
        pair(
            turn,
            lambda: ours.fit(PART_STEPS).seconds,
            lambda: bare.ask("epoch", PART_STEPS * batch),
        )
        for turn in range(3)
    )
    values = {"step": step, "fit epoch of a part": part}
    if not samples:
        return values
    whole = pair(
        index,
        lambda: project(ours.fit(PROJECTED_STEPS), samples),
        lambda: bare.ask("epoch", samples),
    )
    return {**values, "projected epoch": whole}


def main() -> None:
    """Measure blocks and print each ratio with its interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="baseline")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--backend", default="tensorflow", choices=backends.NAMES)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--no-whole", action="store_true", help="leave whole epochs out")
    arguments = parser.parse_args()
    dataset = datasets.resolve("auto")
    case = Case(
        arguments.variant,
        dataset,
        arguments.batch_size,
        backend=arguments.backend,
        threads=len(usable_cpus()),
        jit=backends.jit_by_default(arguments.backend),
    )
    samples = datasets.train_size(dataset)
    found = []
    with tempfile.TemporaryDirectory() as logs, Launcher(Path(logs)) as launcher:
        ours = Ours(launcher, case)
        for index in range(arguments.blocks):
            bare = Bare(case)
            whole = 0 if arguments.no_whole else samples
            found.append(block(index, ours, bare, case.batch_size, whole))
            print({name: f"{value:+.4f}" for name, value in found[-1].items()}, flush=True)
            bare.end()
    print(f"{case.id}, harness / bare Keras, {len(found)} blocks of fresh processes:")
    for name in found[0]:
        estimate = stats.log_interval([values[name] for values in found])
        ratio = f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
        print(f"  {name}: {ratio}")
    print(f"  ({units.count(samples)} training samples)")


if __name__ == "__main__":
    main()
