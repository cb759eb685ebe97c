"""Does a moderated interval hold the truth, and how narrow is it? By simulation.

Comparisons of a case with itself in runs of several sizes. The block values have the scatter that
sixty interleaved comparisons had: 1.0 % from the rounds, 1.4 % from the workers, 1.3 % for the
worker that starts first. The workers' scatter is normal, or heavy-tailed (Student's t with 4
degrees of freedom), and the comparisons of a run scatter alike or not. Prints, for the plain and
the moderated interval of the same values, how often 1 is held and how wide the interval is.
"""

import argparse

import numpy as np

from harness.analyze import moderation, stats
from harness.analyze.start_order import without_start_order

ROUNDS, WORKERS, START_ORDER = 0.0105, 0.014, 0.013
SCATTER = {"normal": None, "t, 4 degrees": 4}
ALIKE = {"alike": None, "unequal": 5, "very unequal": 3.5}  # degrees of freedom of the scatter


def values(rng, blocks, tails, unequal):
    """Block values of one comparison, as the analysis sees them."""
    heavy = rng.standard_t(tails, blocks) / np.sqrt(tails / (tails - 2)) if tails else None
    workers = WORKERS * (rng.standard_normal(blocks) if heavy is None else heavy)
    scale = np.sqrt(unequal / rng.chisquare(unequal)) if unequal else 1.0
    order = START_ORDER * np.where(np.arange(blocks) % 2, -1, 1)
    logs = scale * (workers + ROUNDS * rng.standard_normal(blocks)) + order
    return without_start_order(logs.tolist(), range(blocks))


def main():
    """Print a line per size of run, number of blocks and kind of scatter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=6000, help="comparisons per line")
    tries = parser.parse_args().tries
    rng = np.random.default_rng(1)
    print(
        "comparisons blocks  workers       variances     |  plain: held   half-width, 90 %", end=""
    )
    print("  | moderated: held   half-width, 90 %")
    for size in (8, 14, 30):
        for blocks in (3, 4, 6):
            for tails, degrees in SCATTER.items():
                for unequal, freedom in ALIKE.items():
                    found = {"plain": [], "moderated": []}
                    for _ in range(tries // size):
                        run = [
                            stats.mean(values(rng, blocks, degrees, freedom)) for _ in range(size)
                        ]
                        prior = moderation.prior(run)
                        for one in run:
                            found["plain"].append(stats.sum_of_means([one]))
                            found["moderated"].append(stats.sum_of_means([prior.moderate(one)]))
                    print(f"{size:11d} {blocks:6d}  {tails:12s}  {unequal:12s}", end="")
                    for estimates in found.values():
                        held = np.mean([e.low <= 0 <= e.high for e in estimates])
                        halves = [50 * (e.high - e.low) for e in estimates]
                        middle, wide = np.quantile(halves, [0.5, 0.9])
                        print(f"  | {100 * held:12.1f} %   {middle:.2f}, {wide:.2f} %", end="")
                    print()


if __name__ == "__main__":
    main()
