"""How much does the noise of rounds that follow each other correlate, and what order helps?

Run as `python docs/evidence/round_noise.py RUN`, RUN as for `harness report`. The residual of a
round is the logarithm of its time per step less the mean of its worker. Prints the correlation of
residuals by their distance in rounds, over all blocks whose workers take turns. Then noise of that
correlation is drawn for a block of 15 and of 16 workers, and two orders of the turns are compared
by the scatter of a block value, and of the part that all comparisons of the block share.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from harness.analyze import rounds
from harness.analyze.stats import trimmed_mean
from harness.measure import schedule
from harness.records import folders

LAGS = (1, 2, 3, 4, 6, 8, 11, 14)
_TURNS, _FEWEST_ROUNDS = 20, 8


def residuals(run):
    """Yield the residuals of each block in the order of its rounds; NaN for a case of few."""
    blocks = defaultdict(dict)  # by number of the block: rounds of each worker
    for m in run.outcomes:
        if getattr(m, "interleaved", False):
            for role_and_block, worker in rounds.worker_ids(m).items():
                blocks[worker[0]][worker] = rounds.by_worker(m)[role_and_block]
    for workers in blocks.values():
        noise = []
        for its in workers.values():
            logs = np.log([r.seconds / r.steps for r in its])
            few = len(its) < _FEWEST_ROUNDS
            level = np.nan if few else trimmed_mean(logs.tolist())
            noise += [((r.pair, r.position), log - level) for r, log in zip(its, logs, strict=True)]
        yield [residual for _, residual in sorted(noise)]


def correlations(blocks):
    """Return the correlation by lag; residuals beyond four scales count as four."""
    scale = 1.4826 * np.nanmedian(np.abs(np.concatenate(blocks)))
    clipped = [np.clip(block, -4 * scale, 4 * scale) for block in blocks]
    variance = np.nanmean(np.concatenate(clipped) ** 2)
    return [
        np.nanmean(np.concatenate([block[:-lag] * block[lag:] for block in clipped])) / variance
        for lag in LAGS
    ]


def williams(workers, turns):
    """Yield the orders of a Williams design, which protocol 2 had at first."""
    first = [n // 2 if n % 2 == 0 else workers - 1 - n // 2 for n in range(workers)]
    for turn in range(turns):
        row, mirrored = divmod(turn, 2) if workers % 2 else (turn, 0)
        order = [(worker + row) % workers for worker in first]
        yield order[::-1] if mirrored else order


def scatter(orders, references, correlation, rng, tries=2000):
    """Return the scatter of a block value and of the part that all share, in that of a round."""
    workers = len(orders[0])
    lags = np.abs(np.subtract.outer(*[np.arange(workers * len(orders))] * 2))
    known = np.interp(lags, (0, *LAGS, 60), (1, *correlation, 0))
    values, vectors = np.linalg.eigh(known)  # the nearest matrix that is a correlation
    root = vectors * np.sqrt(np.clip(values, 0, None))
    found = []
    for _ in range(tries):
        noise = (root @ rng.standard_normal(len(root))).reshape(len(orders), workers)
        times = np.empty_like(noise)
        np.put_along_axis(times, np.array(orders), noise, axis=1)
        cases = np.delete(times, references, axis=1).T
        pairs = [[times[:, one] - case for one in references] for case in cases]
        found.append([np.mean([trimmed_mean(p.tolist()) for p in both]) for both in pairs])
    return np.std(found), np.std(np.mean(found, axis=1))


def main():
    """Print the correlations, then a line per order."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="latest")
    run = folders.read(folders.locate(parser.parse_args().run, Path("results")))
    blocks = [np.array(block) for block in residuals(run)]
    correlation = correlations(blocks)
    scale = np.nanstd(np.concatenate(blocks))
    print(f"{len(blocks)} blocks; standard deviation of a round {100 * scale:.1f} %")
    for lag, value in zip(LAGS, correlation, strict=True):
        print(f"  {lag:2d} rounds apart: correlation {value:.2f}")
    print("scatter of a block value, and of what all share, in that of a round")
    rng = np.random.default_rng(1)
    for workers in (15, 16):
        last, middle = workers - 1, (workers + 1) // 2
        drawn = list(schedule.turns([_TURNS] * workers, 0, references=[0, middle]))
        design = list(williams(workers, _TURNS))
        for name, orders, second in (("Williams", design, last), ("drawn", drawn, middle)):
            value, shared = scatter(orders, [0, second], correlation, rng)
            print(f"  {workers} workers, {name:8s}  {value:.3f}  {shared:.3f}")


if __name__ == "__main__":
    main()
