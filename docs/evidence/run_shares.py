"""Where did the wall time of a run go, what did watching cost, how wide is its noise floor?

Run as `python docs/evidence/run_shares.py RUN`, RUN as for `harness report`.
"""

import argparse
from pathlib import Path

from harness import units
from harness.analyze import stats
from harness.records import Measurement, folders


def main() -> None:
    """Read the run and print the three answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", default="latest")
    run = folders.read(folders.locate(parser.parse_args().run, Path("results")))
    measured = [outcome for outcome in run.outcomes if isinstance(outcome, Measurement)]
    timed = sum(r.seconds for m in measured for r in m.rounds)
    print(
        f"{run.id}: {units.seconds(run.wall_seconds)}, {len(measured)} comparisons; "
        f"timed rounds: {100 * timed / run.wall_seconds:.0f} %"
    )
    usage = [start.usage for m in measured for start in m.starts if start.usage]
    watched = sum(u.watched_seconds for u in usage)
    cost = sum(u.watching_cpu_seconds for u in usage) / watched
    readings = sum(u.readings for u in usage) / watched
    print(f"watching: {100 * cost:.3f} % of a core for each worker, {readings:.1f} readings/s")
    for m in measured:
        if m.case == m.reference:
            estimate = stats.speedup(m)
            half = (estimate.high / estimate.low) ** 0.5 - 1
            interval = f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
            print(f"{m.case.id} against itself: {interval}, half-width {100 * half:.1f} %")


if __name__ == "__main__":
    main()
