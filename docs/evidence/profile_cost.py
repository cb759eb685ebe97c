"""What does `--profile` add to a run of one case, and does it change the rounds?

Runs of one case with and without the option alternate. Printed are the wall time that the option
adds and the ratio of the step times. Run as `python docs/evidence/profile_cost.py --turns 8`.
"""

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.analyze import stats
from harness.records import Measurement, folders


def measured(
    model: str, batch: str, backend: str, threads: str, *options: str
) -> tuple[float, float]:
    """Run one case with quick effort; return wall seconds and the median seconds per step."""
    with tempfile.TemporaryDirectory() as name:
        begin = time.perf_counter()
        command = [sys.executable, "-m", "harness", "run", model, "--batch-sizes", batch]
        fixed = ["--backend", backend, "--devices", "cpu", "--effort", "quick", "--output", name]
        fixed += ["--threads", threads] if threads else []
        subprocess.run([*command, *fixed, *options], capture_output=True, check=True)
        seconds = time.perf_counter() - begin
        (folder,) = Path(name).glob("runs/*")
        rounds = [
            one.seconds / one.steps
            for outcome in folders.read(folder).outcomes
            if isinstance(outcome, Measurement)
            for one in outcome.rounds
        ]
    return seconds, statistics.median(rounds)


def main() -> None:
    """Print both figures with their intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="baseline")
    parser.add_argument("--batch-size", default="256")
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--threads", default="", help="default: all")
    parser.add_argument("--turns", type=int, default=8)
    arguments = parser.parse_args()
    case = arguments.model, arguments.batch_size, arguments.backend, arguments.threads
    added, logs = [], []
    for turn in range(arguments.turns):
        found = {}
        order = [(), ("--profile",)]
        for options in order if turn % 2 else reversed(order):
            found[options] = measured(*case, *options)
        added.append(found["--profile",][0] - found[()][0])
        logs.append(math.log(found["--profile",][1] / found[()][1]))
        print(f"+{added[-1]:.1f} s, step {math.exp(logs[-1]):.3f}", flush=True)
    seconds, ratio = stats.interval(added), stats.log_interval(logs)
    print(
        f"{' '.join(case)}: --profile adds {seconds.value:.1f} s [{seconds.low:.1f}, "
        f"{seconds.high:.1f}], {max(added):.1f} s at most; step with over without "
        f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}], {arguments.turns} turns"
    )


if __name__ == "__main__":
    main()
