"""How often does the interval of a difference of accuracies hold the truth? By simulation.

Two equally good variants: of each seed a share of the test samples is got
right by one alone, and a shift of the seed moves many samples at once. A part
of the samples is systematic: one variant always gets them right. Prints the
coverage for several spreads of that shift.
"""

import argparse

import numpy as np

from harness.analyze.training import accuracy

SAMPLES = 10_000
DISCORDANT = 0.006
SYSTEMATIC = 0.3


def seed_of(rng, always, spread):
    """What each variant alone gets wrong, with one seed."""
    shift = rng.normal(0, spread) if spread else 0.0
    draw, share = rng.random(SAMPLES), DISCORDANT * (1 - SYSTEMATIC) / 2
    mine, other = draw < share + shift / 2, draw > 1 - share + shift / 2
    mine[always != 0], other[always != 0] = False, False
    return np.flatnonzero(mine | (always > 0)), np.flatnonzero(other | (always < 0))


def main():
    """Print a line a number of seeds and spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=1000)
    tries = parser.parse_args().tries
    rng = np.random.default_rng(1)
    print("seeds  spread between seeds  holds the truth  half-width (points)")
    for seeds in (3, 6):
        for spread in (0.0, 0.0003, 0.0007, 0.0015):
            held, halves = 0, []
            for _ in range(tries):
                systematic = rng.random(SAMPLES) < DISCORDANT * SYSTEMATIC
                always = np.where(systematic, rng.choice([-1, 1], SAMPLES), 0)
                wrong = zip(*(seed_of(rng, always, spread) for _ in range(seeds)), strict=True)
                found = accuracy.difference(*wrong, SAMPLES).estimate
                held += found.low <= 0 <= found.high
                halves.append(100 * (found.high - found.low) / 2)
            print(
                f"{seeds:5d}  {100 * spread:14.2f} points  {100 * held / tries:13.1f} %"
                f"  {np.median(halves):.3f}"
            )


if __name__ == "__main__":
    main()
