"""What does reading the energy of the CPUs cost per round, and how exact is it?

A folder like `/sys/class/powercap` has two packages, each with its memory. The cost is that of the
two readings around a round. For exactness, another process advances the counters by known steps,
through several wraps, while rounds are read. Run as `python docs/evidence/energy_meter.py`.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

from harness.measure.machine.energy import open_meter

ROUNDS, TRIES = 2000, 9
WRAPS_AT, TICK = 20_000_000, 9_000  # microjoules
TICKS = 8000  # three to four wraps


def tree(root: Path) -> None:
    """Make the folder."""
    for package in (0, 1):
        for number, name in ((f"{package}", f"package-{package}"), (f"{package}:0", "dram")):
            folder = root / "class" / "powercap" / f"intel-rapl:{number}"
            folder.mkdir(parents=True)
            (folder / "name").write_text(f"{name}\n")
            (folder / "max_energy_range_uj").write_text(f"{WRAPS_AT}\n")
            (folder / "energy_uj").write_text(f"{0:019}\n")


def advance(root: Path) -> None:
    """Advance the counters of both packages by equal steps."""
    zones = root / "class" / "powercap"
    files = [os.open(zones / f"intel-rapl:{n}" / "energy_uj", os.O_WRONLY) for n in (0, 1)]
    for tick in range(1, TICKS + 1):
        for file in files:
            os.pwrite(file, f"{tick * TICK % WRAPS_AT:019}\n".encode(), 0)
        time.sleep(2e-4)


def main() -> None:
    """Print both."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        tree(root)
        meter = open_meter({0}, root)
        costs = []
        for _ in range(TRIES):
            begin = time.perf_counter()
            for _ in range(ROUNDS):
                before = meter.read()
                meter.between(before, meter.read())
            costs.append((time.perf_counter() - begin) / ROUNDS)
        print(
            f"{len(meter.counters)} counters: {1e6 * statistics.median(costs):.1f} µs per round "
            f"(median of {TRIES} times {ROUNDS} rounds; longest {1e6 * max(costs):.1f} µs)"
        )
        writer = multiprocessing.Process(target=advance, args=(root,))
        total, before = 0.0, meter.read()
        writer.start()
        while writer.is_alive():
            time.sleep(0.01)
            after = meter.read()
            total += meter.between(before, after)["package_joules"] or 0.0
            before = after
        total += meter.between(before, meter.read())["package_joules"] or 0.0
        truth = 2 * TICKS * TICK / 1e6
        print(
            f"{truth:.1f} J in {TICKS * TICK / WRAPS_AT:.1f} turns of two counters, read as "
            f"{total:.3f} J: {100 * (total / truth - 1):+.2f} %"
        )


if __name__ == "__main__":
    main()
