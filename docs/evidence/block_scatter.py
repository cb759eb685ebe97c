"""How much of the scatter of block values is from rounds, how much from workers and moments?

Run as `python docs/evidence/block_scatter.py RUN`, RUN as for `harness report`. The value of a
block from every second turn has twice the variance from rounds, and the same from workers. Only
comparisons of the steps of one framework count, with at least eight turns and three blocks.
"""

import argparse
import dataclasses
import math
import statistics
from pathlib import Path

from harness.analyze import stats
from harness.records import Measurement, folders
from harness.records.protocol import FEWEST_BLOCKS

_TURNS = 8


def values(m: Measurement, *keep: int) -> tuple[float, ...]:
    """Return the block values from every second turn, or from all."""
    rounds = tuple(r for r in m.rounds if r.pair % 2 in keep)
    return stats.speedup_logs(dataclasses.replace(m, rounds=rounds))


def main() -> None:
    """Print both parts, and the best seconds of rounds per worker for some fixed costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="latest")
    run = folders.read(folders.locate(parser.parse_args().run, Path("results")))
    measured = [
        m
        for m in run.outcomes
        if isinstance(m, Measurement)
        and m.pairs >= _TURNS
        and m.interleaved
        and not stats.by_fit(m)
        and m.case.backend == m.reference.backend
        and len(values(m, 0)) == len(values(m, 1)) >= FEWEST_BLOCKS
    ]
    whole = [statistics.variance(values(m, 0, 1)) for m in measured]
    halves = [sum(statistics.variance(values(m, k)) for k in (0, 1)) / 2 for m in measured]
    seconds = statistics.fmean(r.seconds for m in measured for r in m.rounds if r.role == "case")
    seconds *= statistics.fmean(m.pairs for m in measured)
    for name, of in (("mean", statistics.fmean), ("median", statistics.median)):
        all_turns, half = of(whole), of(halves)
        rounds, workers = half - all_turns, max(0.0, 2 * all_turns - half)
        print(
            f"{len(measured)} comparisons, {name} variance: a block value scatters by "
            f"{100 * math.sqrt(all_turns):.2f} %: {100 * math.sqrt(max(0.0, rounds)):.2f} % from "
            f"its {seconds:.1f} s of rounds, {100 * math.sqrt(workers):.2f} % from its workers"
        )
        for cost in (2.0, 4.0) if workers else ():
            best = math.sqrt(cost * rounds * seconds / workers)
            print(f"  best at a fixed cost of {cost:g} s per worker: {best:.1f} s of rounds")


if __name__ == "__main__":
    main()
