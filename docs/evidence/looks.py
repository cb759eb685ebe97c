"""What do looks save, and do their intervals hold the truth? By simulation.

A group of comparisons, with or without what its comparisons tell about each other's scatter, under
a fixed number of blocks or under looks, at which decided comparisons end.
Block values scatter by 2.06 %, as 36 comparisons of a case with itself did, a third of the variance
in the reference that they share; comparisons scatter unequally (5 degrees of freedom). Prints for
each rule the workers that are started, the intervals and how many comparisons are decided.
"""

import argparse
import dataclasses
import math

import numpy as np

from harness.analyze import moderation, stats, verdicts
from harness.records import protocol as protocols

SCATTER, SHARED, UNEQUAL = 0.0206, 1 / 3, 5
DEFAULT = protocols.EFFORTS["default"]
RULES = {
    "fixed 3": DEFAULT,
    "fixed 4": dataclasses.replace(DEFAULT, blocks=4),
    "fixed 5": dataclasses.replace(DEFAULT, blocks=5),
    "fixed 6": dataclasses.replace(DEFAULT, blocks=6),
    "looks 3, 4, 6": protocols.of_few(DEFAULT),
}
EFFECTS = {  # logarithms of true speedups
    "none": [0.0],
    "of settings": [0.0, 0.0, 0.0, 0.0, 0.01, -0.01, 0.02, 0.03, -0.03, 0.05],
    "of batch sizes": [0.1, 0.2, 0.3, 0.4, 0.45, 0.05, 0.0, 0.45],
}


def group(rng, effects, size, blocks):
    """True logarithms and block values, (comparison, block), of a group."""
    true = rng.choice(effects, size=size)
    unequal = np.sqrt((UNEQUAL - 2) / rng.chisquare(UNEQUAL, size=size))
    shared = math.sqrt(SHARED) * rng.standard_normal(blocks)
    own = math.sqrt(1 - SHARED) * rng.standard_normal((size, blocks)) * unequal[:, None]
    return true, true[:, None] + SCATTER * (own + shared)


def measure(protocol, values):
    """Return interval, decision and number of blocks of each comparison at which it ends."""
    found, pending = {}, range(len(values))
    for blocks in (*protocol.looks, protocol.blocks):
        means = [stats.mean(list(its[:blocks])) for its in values]
        prior, confidence = moderation.prior(means), protocols.confidence(protocol, blocks)
        means = [prior.moderate(mean) for mean in means] if prior else means
        for one in pending:
            log = stats.sum_of_means([means[one]], confidence)
            decided = verdicts.verdict(stats.exponential(log)) != "undecided"
            found[one] = log, decided, blocks
        pending = [one for one in pending if not found[one][1]]
    return [found[one] for one in range(len(values))]


def main():
    """Print a line per size of group, effects and rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=6000, help="comparisons per line")
    tries = parser.parse_args().tries
    print("comparisons  effects         rule            workers   held   half-width, 90 %  decided")
    for size in (1, 3, 7, 14):
        for name, effects in EFFECTS.items():
            for rule, protocol in RULES.items():
                rng, found, workers = np.random.default_rng(1), [], []
                for _ in range(max(1, tries // size)):
                    true, values = group(rng, effects, size, protocol.blocks)
                    ended = measure(protocol, values)
                    blocks = [blocks for *_, blocks in ended]
                    workers.append(sum(blocks) + 2 * max(blocks))
                    found += zip(true, ended, strict=True)
                held = np.mean([log.low <= effect <= log.high for effect, (log, *_) in found])
                halves = [50 * (log.high - log.low) for _, (log, *_) in found]
                middle, wide = np.quantile(halves, [0.5, 0.9])
                decided = np.mean([is_decided for _, (_, is_decided, _) in found])
                print(
                    f"{size:11d}  {name:14s}  {rule:14s}  {np.mean(workers):7.1f}"
                    f"  {100 * held:4.1f} %  {middle:.2f}, {wide:.2f} %"
                    f"  {100 * decided:12.0f} %"
                )


if __name__ == "__main__":
    main()
