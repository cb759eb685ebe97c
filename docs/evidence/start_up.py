"""How much sooner is a forked worker ready than a spawned one?

Ready means: its first training step is done. Forked and spawned workers take
turns, in alternating order. Run as `python docs/evidence/start_up.py`.
"""

import argparse
import time
from math import log

from harness import units
from harness.analyze import stats
from harness.measure.machine.facts import usable_cpus
from harness.measure.workers.launcher import Launcher
from harness.records import Case, to_json
from harness.workloads import datasets


def ready_seconds(launcher: Launcher, case: Case) -> float:
    """Start a worker, wait for its first step, end it."""
    begin = time.perf_counter()
    worker = launcher.start(case, timeout=300.0)
    worker.ask("open", case=to_json(case), cpus=usable_cpus())
    seconds = time.perf_counter() - begin
    launcher.end(worker)
    return seconds


def main() -> None:
    """Measure pairs and print the ratio with its interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    pairs = parser.parse_args().pairs
    threads = len(usable_cpus())
    case = Case("baseline", datasets.resolve("auto"), 256, threads=threads)
    times: dict[str, list[float]] = {"fork": [], "spawn": []}
    with Launcher("fork") as fork, Launcher("spawn") as spawn:
        launchers = {"fork": fork, "spawn": spawn}
        ready_seconds(fork, case)  # the server's own import
        for pair in range(pairs):
            for name in ("fork", "spawn") if pair % 2 else ("spawn", "fork"):
                times[name].append(ready_seconds(launchers[name], case))
    for name, values in times.items():
        print(f"{name}: {', '.join(units.seconds(value) for value in values)}")
    ratios = zip(times["spawn"], times["fork"], strict=True)
    ratio = stats.log_interval([log(spawned / forked) for spawned, forked in ratios])
    print(
        "spawn / fork, ready after the first step: "
        f"{units.ratio_interval(ratio.value, ratio.low, ratio.high)}, n = {ratio.n}"
    )


if __name__ == "__main__":
    main()
