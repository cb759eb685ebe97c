"""Does a comparison of repeated runs cry wolf? Counts what candidate rules call faster or slower.

Run as `python docs/evidence/repeated_runs.py RUN RUN [RUN …]`, RUN as for `harness report`:
runs of one machine in which nothing was changed. Every pair of runs with a common case is
compared, by each rule with plain 95 % intervals and with intervals that hold 95 % together.
"""

import argparse
import itertools
import math
import statistics
from collections import Counter, defaultdict
from pathlib import Path

from harness.analyze import stats, verdicts
from harness.analyze.compare import run_diff
from harness.analyze.compare.case_matching import Matching
from harness.analyze.compare.drift import RunTimes, of_another_run
from harness.errors import BadComparison
from harness.records import Estimate, folders
from harness.records.protocol import FEWEST_BLOCKS

DRIFT, HOUR, BLOCKS = "drift of comparisons added", "the hour added: the rule", "blocks alone"


def ratios(here, there):
    """Logarithm and parts of the variance of each ratio, by rule; a list a rule."""
    found = defaultdict(list)
    for case in [case for case in here.times if case in there.times]:
        common = [key for key in here.times[case] if key in there.times[case]]
        if not common:
            continue
        sides = [[o.times[case][key] for key in common] for o in (here, there)]
        if min(len(logs) for side in sides for logs in side) < FEWEST_BLOCKS:
            continue
        means = [statistics.fmean(map(statistics.fmean, side)) for side in sides]
        log, n = means[0] - means[1], len(common)
        blocks = [of_mean(logs, n) for side in sides for logs in side]
        drift = [(o.comparison_drift[0] / n, o.comparison_drift[1]) for o in (here, there)]
        hour = [part for o in (here, there) for part in o.time_drift(n)]
        for rule, parts in {BLOCKS: [], DRIFT: drift, HOUR: hour}.items():
            found["time", rule].append((log, [*blocks, *parts]))
    for case, speedups in here.speedups.items():
        for against, one in speedups.items():
            other = there.speedups.get(case, {}).get(against)
            if other and min(one.n, other.n) >= FEWEST_BLOCKS:
                log = other.value - one.value
                blocks = [(its.variance, its.freedom) for its in (one, other)]
                times = [*blocks, here.block_drift, there.block_drift]
                found["pair", BLOCKS].append((log, blocks))
                found["pair", "a block of times added"].append((log, times))
                found["pair", HOUR].append((log, [of_another_run(its) for its in (one, other)]))
    return found


def of_mean(logs, comparisons):
    """Variance of a mean and its degrees of freedom."""
    return statistics.variance(logs) / len(logs) / comparisons**2, len(logs) - 1


def count(found, confidence):
    """How many ratios are called, and how many intervals leave out 1."""
    called = left_out = 0
    for log, parts in found:
        half = stats.spread(parts, confidence)
        ends = Estimate(log, log - half, log + half, 0)
        called += verdicts.verdict(stats.exponential(ends)) in ("faster", "slower")
        left_out += abs(log) > half
    return called, left_out


def main():
    """Print a block a pair of runs, then the sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    read = [folders.read(folders.locate(n, Path("results"))) for n in parser.parse_args().runs]
    total = defaultdict(Counter)
    moved, verdicts = [], Counter()
    for here, there in itertools.combinations(read, 2):
        try:
            (comparison,) = run_diff.compare(here, [there])
        except BadComparison as error:
            print(error)
            continue
        found = Matching.of([here, there])
        counted = ratios(RunTimes.of(here, found), RunTimes.of(there, found))
        logs = [log for log, _ in counted["time", BLOCKS]]
        if not logs:
            print(f"{here.id}, {there.id}: no common case has three blocks")
            continue
        print(
            f"{here.id}, {there.id}: {len(logs)} cases; time ratios from "
            f"{math.exp(min(logs)):.3f} to {math.exp(max(logs)):.3f}, "
            f"median {math.exp(statistics.median(logs)):.3f}"
        )
        for rule, one in counted.items():
            plain = count(one, 0.95)
            together = count(one, 1 - 0.05 / len(one))
            print(
                f"  {': '.join(rule):35}  {len(one):3} compared; called {plain[0]}, {together[0]}"
            )
            total[rule].update(n=len(one), plain=plain[0], out=plain[1], together=together[0])
        moved += [log**2 - sum(v for v, _ in parts) for log, parts in counted["pair", BLOCKS]]
        judged = Counter(row.verdict for row in comparison.cases)
        verdicts += judged
        print(f"  harness compare: {dict(judged)}, together {comparison.together.verdict}")
    print("all pairs: plain 95 % intervals, then those that hold 95 % together")
    for rule, sums in total.items():
        print(
            f"  {': '.join(rule):35}  {sums['n']:3} compared; leave out 1: {sums['out']}; "
            f"called {sums['plain']}, {sums['together']}"
        )
    print(f"  harness compare: {dict(verdicts)}")
    beyond = math.sqrt(max(0.0, statistics.fmean(moved)))
    print(f"  ratios of speedups differ beyond their blocks by {100 * beyond:.1f} % (SD)")


if __name__ == "__main__":
    main()
