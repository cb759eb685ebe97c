"""Does an interval that two workers of the reference moderate hold the truth? By simulation.

One comparison alone, in blocks of a worker of the case and two of the reference. The scatter of
case and reference is the same or differs by chance, and is normal or heavy-tailed (Student's t with
4 degrees of freedom). Prints, for the plain and the moderated interval of the same values, how
often the truth is held and how wide the interval is, in standard deviations of one worker.
"""

import argparse

import numpy as np

from harness.analyze.moderation import Prior
from harness.analyze.stats import mean, sum_of_means

LOOKS = {3: 0.99, 4: 0.99, 6: 0.97}  # blocks and confidence
SCATTER = {"normal": None, "t, 4 degrees": 4}
ALIKE = {"alike": None, "unequal": 5, "very unequal": 3.5}  # degrees of freedom of the scatter


def workers(rng, blocks, tails, unequal):
    """Logarithms of a case and of both workers of its reference, by block."""
    values = rng.standard_normal((3, blocks))
    if tails:
        values = rng.standard_t(tails, (3, blocks)) / np.sqrt(tails / (tails - 2))
    if unequal:
        case, reference = np.sqrt((unequal - 2) / rng.chisquare(unequal, 2))
        values *= np.array([[case], [reference], [reference]])
    return values


def main():
    """Print a line per number of blocks and kind of scatter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=20_000, help="comparisons per line")
    tries, rng = parser.parse_args().tries, np.random.default_rng(1)
    print("blocks  wanted  workers       variances     |  plain: held  half-width", end="")
    print("  |  moderated: held  half-width")
    for blocks, confidence in LOOKS.items():
        for tails, degrees in SCATTER.items():
            for unequal, freedom in ALIKE.items():
                found = {"plain": [], "moderated": []}
                for _ in range(tries):
                    case, one, other = workers(rng, blocks, degrees, freedom)
                    plain = mean(list((one + other) / 2 - case))
                    prior = Prior(0.75 * np.mean((one - other) ** 2), blocks / 2)
                    for name, its in (("plain", plain), ("moderated", prior.moderate(plain))):
                        found[name].append(sum_of_means([its], confidence))
                print(f"{blocks:6d}  {100 * confidence:4.0f} %  {tails:12s}  {unequal:12s}", end="")
                for estimates in found.values():
                    held = np.mean([e.low <= 0 <= e.high for e in estimates])
                    half = np.median([(e.high - e.low) / 2 for e in estimates])
                    print(f"  |  {100 * held:13.1f} %  {half:10.2f}", end="")
                print()


if __name__ == "__main__":
    main()
