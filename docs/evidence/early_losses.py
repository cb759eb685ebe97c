"""How far rounding alone moves the loss of early steps: mixed bfloat16 against float32.

Run as `MNIST_NPZ=… python docs/evidence/early_losses.py`; it takes two minutes. Both start from the
same weights and batches, with as many seeds as a default run has blocks.
"""

import dataclasses
import math
import statistics

from harness.measure.machine.facts import usable_cpus
from harness.measure.workers.launcher import Launcher
from harness.records import Case, to_json
from harness.workloads import datasets, levers

SEEDS = 6
ENDS = (8, 16, 32, 64, 128)
T_QUANTILE = 2.571  # 97.5 %, five degrees of freedom


def losses(launcher: Launcher, case: Case) -> list[float]:
    """The mean loss of the steps up to each end, from the one before, without the first step."""
    worker = launcher.start(case, 300.0)
    worker.ask("open", case=to_json(case), cpus=usable_cpus())
    begins = (1, *ENDS[:-1])
    found = [
        float(worker.ask("round", steps=end - begin)["loss"])
        for begin, end in zip(begins, ENDS, strict=True)
    ]
    launcher.end(worker)
    return found


def main() -> None:
    """Print a line for each half: the mean difference and the half-width of its interval."""
    plain = Case("baseline", datasets.resolve("auto"), 256, threads=len(usable_cpus()))
    lower = levers.change(plain, "precision=mixed_bfloat16")
    with Launcher() as launcher:
        pairs = [
            [losses(launcher, dataclasses.replace(case, seed=seed)) for case in (plain, lower)]
            for seed in range(SEEDS)
        ]
    for number, (begin, end) in enumerate(zip((1, *ENDS[:-1]), ENDS, strict=True)):
        shares = [there[number] / here[number] - 1 for here, there in pairs]
        half = T_QUANTILE * statistics.stdev(shares) / math.sqrt(SEEDS)
        mean = statistics.fmean(shares)
        print(f"steps {begin + 1} to {end}: {100 * mean:+.1f} %, half-width {100 * half:.1f} %")


if __name__ == "__main__":
    main()
