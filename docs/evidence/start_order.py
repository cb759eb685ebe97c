"""Which of two like workers is slower, the one that starts first, and does how they start matter?

Blocks of two workers of one case that take turns, started in several ways. Run as
`python docs/evidence/start_order.py`.
"""

import argparse
import statistics
import time
from math import log

from harness.analyze import stats
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.schedule import turns
from harness.measure.side import Setup, Side
from harness.measure.workers.launcher import Launcher
from harness.records import Case, Round
from harness.records import protocol as protocols
from harness.workloads import datasets

WAYS = {
    "usual": "the first opens and warms up, then the second",
    "third": "the same beside a third worker that was opened before and waits",
    "pause": "the same after a pause of 2 s",
    "crossed": "both open, then the second warms up before the first",
    "opened": "both open, then the first warms up before the second",
    "spawned": "as usual, from new interpreters instead of the fork server",
}
PAIRS, STEPS = 8, 2


def block(way: str, launcher: Launcher, case: Case, number: int) -> tuple[float, float]:
    """Start two workers, let them take turns; ln of first over second: seconds, CPU seconds."""
    protocol = protocols.EFFORTS["default"]
    sides: list[Side] = []
    setup = Setup(protocol, launcher, open_gpu())

    def opened() -> Side:
        sides.append(Side.start(case, setup))
        sides[-1].open()
        return sides[-1]

    try:
        if way == "third":
            opened().warm_up()
        if way == "pause":
            time.sleep(2)
        first = opened()
        if way not in {"crossed", "opened"}:
            first.warm_up()
        second = opened()
        if way == "opened":
            first.warm_up()
        second.warm_up()
        if way == "crossed":
            first.warm_up()
        pairs = []
        for pair, order in enumerate(turns([PAIRS, PAIRS], number)):
            took: dict[int, Round] = {}
            for position, worker in enumerate(order):
                side = (first, second)[worker]
                took[worker] = side.round(number, pair, position, STEPS)
            pairs.append((took[0], took[1]))
        return (
            statistics.median(log(one.seconds / other.seconds) for one, other in pairs),
            statistics.median(log(one.cpu_seconds / other.cpu_seconds) for one, other in pairs),
        )
    finally:
        for side in sides:
            side.end()


def main() -> None:
    """Measure blocks, the ways in turns, and print a line a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    forked = [way for way in WAYS if way != "spawned"]
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=forked)
    parser.add_argument("--blocks", type=int, default=24)
    arguments = parser.parse_args()
    ways: list[str] = arguments.ways
    case = Case("baseline", datasets.resolve("auto"), 256, threads=len(usable_cpus()))
    logs: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with Launcher("fork") as fork, Launcher("spawn") as spawn:
        for number in range(arguments.blocks):
            for way in ways if number % 2 == 0 else ways[::-1]:
                launcher = spawn if way == "spawned" else fork
                logs[way].append(block(way, launcher, case, number))
    for way, found in logs.items():
        print(f"{way}: {WAYS[way]}")
        for name, values in zip(("seconds", "CPU seconds"), zip(*found, strict=True), strict=True):
            ratio = stats.log_interval(values)
            interval = f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
            print(f"    {name} of the first over the second: {interval}, n = {ratio.n}")


if __name__ == "__main__":
    main()
