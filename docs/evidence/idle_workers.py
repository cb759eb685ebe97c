"""Is a step slower where many other workers wait beside it? Blocks with and without them, in turns.

Each block has a fresh worker, warmed up, that trains some rounds: alone, or among idle workers of
the same case that have been opened and warmed up before. Run as
`python docs/evidence/idle_workers.py`.
"""

import argparse
import contextlib
import statistics
from math import log

from harness.analyze import stats
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.side import Setup, Side
from harness.measure.workers.launcher import Launcher
from harness.records import Case
from harness.records import protocol as protocols
from harness.workloads import datasets

ROUNDS, STEPS = 16, 4


def block(setup: Setup, case: Case, number: int, idle: int) -> float:
    """Return the logarithm of the median seconds per step of a worker among idle ones."""
    with contextlib.ExitStack() as ends:

        def opened() -> Side:
            side = Side.start(case, setup)
            ends.callback(side.end)
            side.open()
            side.warm_up()
            return side

        for _ in range(idle):
            opened()
        side = opened()
        rounds = [side.round(number, turn, 0, STEPS) for turn in range(ROUNDS)]
        return log(statistics.median(one.seconds / one.steps for one in rounds))


def main() -> None:
    """Measure pairs of blocks and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--idle", type=int, default=14)
    arguments = parser.parse_args()
    case = Case("baseline", datasets.resolve("auto"), 64, threads=len(usable_cpus()))
    logs = []
    with Launcher("fork") as launcher:
        setup = Setup(protocols.EFFORTS["default"], launcher, open_gpu())
        for number in range(arguments.pairs):
            order = (0, arguments.idle) if number % 2 == 0 else (arguments.idle, 0)
            found = {idle: block(setup, case, number, idle) for idle in order}
            logs.append(found[arguments.idle] - found[0])
    ratio = stats.log_interval(logs)
    interval = f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    print(f"a step among {arguments.idle} idle workers over one alone: {interval}, n = {ratio.n}")


if __name__ == "__main__":
    main()
