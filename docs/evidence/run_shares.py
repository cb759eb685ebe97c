"""Where did the wall time of a run go, what did watching cost, how wide are its intervals?

Run as `python docs/evidence/run_shares.py RUN`, RUN as for `harness report`.
"""

import argparse
import math
import statistics
from pathlib import Path

from harness import units
from harness.analyze import rounds
from harness.analyze.moderation import Speedups
from harness.records import Measurement, folders


def half_width(estimate):
    """Return half of the interval's width, in percent."""
    return 100 * (math.sqrt(estimate.high / estimate.low) - 1)


def main() -> None:
    """Read the run and print the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", default="latest")
    run = folders.read(folders.locate(parser.parse_args().run, Path("results")))
    measured = [outcome for outcome in run.outcomes if isinstance(outcome, Measurement)]
    timed = rounds.timed(run)
    print(
        f"{run.id}: {units.seconds(run.wall_seconds)}, {len(measured)} comparisons; timed rounds: "
        f"{100 * timed.rounds / run.wall_seconds:.0f} %, timed parts of a fit: "
        f"{100 * timed.fits / run.wall_seconds:.0f} %"
    )
    usage = [start.usage for m in measured for start in m.starts if start.usage]
    watched = sum(u.watched_seconds for u in usage)
    cost = sum(u.watching_cpu_seconds for u in usage) / watched
    readings = sum(u.readings for u in usage) / watched
    print(f"watching: {100 * cost:.3f} % of a core for each worker, {readings:.1f} readings/s")
    speedups = Speedups.of(measured)
    found = [(m, speedups.speedup(m)) for m in measured if m.ended != "screened"]
    found = [(m, estimate) for m, estimate in found if estimate.low is not None]
    if len(found) > 1:
        halves = [half_width(estimate) for _, estimate in found]
        median, most = statistics.median(halves), statistics.quantiles(halves, n=10)[-1]
        print(f"half-width of {len(halves)} speedups: {median:.1f} % (median), {most:.1f} % (90 %)")
    for m, estimate in found:
        if m.case == m.reference:
            interval = f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
            print(f"{m.case.id} against itself: {interval}, {half_width(estimate):.1f} %")


if __name__ == "__main__":
    main()
