"""Do the harness's times agree with those of plain Keras, timed by hand?

A fresh worker of the harness and a fresh `bare_keras.py` take turns with the
same model and data: rounds of steps, epochs of `fit` over a part of the data,
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


def block(index: int, worker: Worker, bare: Bare, case: Case, samples: int) -> dict[str, float]:
    """Return ln(harness / bare) of the block: medians over pairs for steps and parts."""

    def steps() -> float:
        return float(worker.ask("round", steps=ROUND_STEPS)["seconds"])

    def fit(count: int) -> Fit:
        return from_json(Fit, worker.ask("fit", steps=count)["fit"])

    def pair(turn: int, ours: Any, theirs: Any) -> float:
        first = turn % 2 == 0
        mine = ours() if first else None
        other = theirs()
        return log((mine if mine is not None else ours()) / other)

    batch = case.batch_size
    return {
        "step": statistics.median(
            pair(turn, steps, lambda: bare.ask("steps", ROUND_STEPS)) for turn in range(12)
        ),
        "fit epoch of a part": statistics.median(
            pair(
                turn, lambda: fit(PART_STEPS).seconds, lambda: bare.ask("epoch", PART_STEPS * batch)
            )
            for turn in range(3)
        ),
        "projected epoch": pair(
            index,
            lambda: project(fit(PROJECTED_STEPS), samples),
            lambda: bare.ask("epoch", samples),
        ),
    }


def main() -> None:
    """Measure blocks and print each ratio with its interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="baseline")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--blocks", type=int, default=10)
    arguments = parser.parse_args()
    cpus = usable_cpus()
    dataset = datasets.resolve("auto")
    case = Case(arguments.variant, dataset, arguments.batch_size, threads=len(cpus))
    samples = datasets.train_size(dataset)
    found = []
    with tempfile.TemporaryDirectory() as logs, Launcher(Path(logs)) as launcher:
        for index in range(arguments.blocks):
            worker = launcher.start(case, timeout=300.0)
            worker.ask("open", case=to_json(case), cpus=cpus)
            worker.ask("fit", steps=PROJECTED_STEPS)
            bare = Bare(case)
            found.append(block(index, worker, bare, case, samples))
            print({name: f"{value:+.4f}" for name, value in found[-1].items()}, flush=True)
            bare.end()
            launcher.end(worker)
    print(f"{case.id}, harness / bare Keras, {len(found)} blocks of fresh processes:")
    for name in found[0]:
        estimate = stats.log_interval([values[name] for values in found])
        ratio = f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
        print(f"  {name}: {ratio}")
    print(f"  ({units.count(samples)} training samples)")


if __name__ == "__main__":
    main()
