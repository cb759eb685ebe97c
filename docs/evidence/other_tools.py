"""How long do other tools take to a ratio of the same width? pyperf, pytest-benchmark, this one.

The same training step, compared with itself: its ratio is 1. Each tool gives ratios in its own
way, several times over; how far they scatter around 1 says how wide an interval would have to be,
and with the time that one took, how long it would take to the width of the harness's. Run as
`python docs/evidence/other_tools.py`; pyperf is installed for it alone (`pip install pyperf`).
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.analyze import stats
from harness.records import Measurement, run_file

STEP = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
from harness.commands.validate import plain_keras
from harness.workloads import datasets, variants
import keras

def make():
    raw = datasets.load(datasets.resolve("auto"))
    x = raw.x_train[:8 * 256].reshape(-1, 28, 28, 1)
    y = keras.utils.to_categorical(raw.y_train[:8 * 256], 10)
    step = plain_keras.steps_of(variants.network(), datasets.Dataset(x, y, x[:0], y[:0]), 256)
    for _ in range(3):
        float(step())
    return lambda: float(step())
"""
PYPERF = (
    STEP
    + """
import pyperf
runner = pyperf.Runner()
if runner.parse_args().worker:
    step = make()
else:
    step = lambda: None
runner.bench_func("step", step)
"""
)
PYTEST = (
    STEP
    + """
import pytest

@pytest.fixture(scope="session")
def step():
    return make()

def test_one(benchmark, step):
    benchmark.pedantic(step, rounds=40)

def test_other(benchmark, step):
    benchmark.pedantic(step, rounds=40)
"""
)


def pyperf(folder: Path, processes: int) -> float:
    """Two runs of pyperf one after the other; ln of the ratio of their means."""
    script = folder / "step.py"
    script.write_text(PYPERF)
    means = []
    for name in ("one", "other"):
        out = folder / f"{name}.json"
        out.unlink(missing_ok=True)
        subprocess.run(
            [sys.executable, str(script), "-q", "-p", str(processes), "-o", str(out)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        runs = json.loads(out.read_text())["benchmarks"][0]["runs"]
        means.append(statistics.fmean(v for r in runs for v in r.get("values", ())))
    return math.log(means[0] / means[1])


def pytest_benchmark(folder: Path) -> float:
    """Two tests in one session; ln of the ratio of their medians."""
    (folder / "test_step.py").write_text(PYTEST)
    out = folder / "out.json"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--benchmark-json={out}", str(folder)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    medians = [b["stats"]["median"] for b in json.loads(out.read_text())["benchmarks"]]
    return math.log(medians[0] / medians[1])


def ours(folder: Path) -> tuple[list[float], list[float]]:
    """Ratios and seconds of the comparisons of a run of a case with itself."""
    found = [o for o in run_file.read(folder).outcomes if isinstance(o, Measurement)]
    return [math.log(stats.speedup(m).value) for m in found], [m.wall_seconds for m in found]


def main() -> None:
    """Print, for each tool, its scatter, its time, and the time to the harness's width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("noise", type=Path, help="the folder `noise` of a validation")
    parser.add_argument("--pyperf", type=int, default=4, help="ratios")
    parser.add_argument("--processes", type=int, default=20, help="of pyperf, each")
    parser.add_argument("--pytest", type=int, default=12, help="ratios")
    arguments = parser.parse_args()
    found: dict[str, tuple[list[float], list[float]]] = {"harness": ours(arguments.noise)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for tool, count, measure in (
            ("pytest-benchmark", arguments.pytest, lambda: pytest_benchmark(folder)),
            ("pyperf", arguments.pyperf, lambda: pyperf(folder, arguments.processes)),
        ):
            logs, seconds = [], []
            for _ in range(count):
                begin = time.perf_counter()
                logs.append(measure())
                seconds.append(time.perf_counter() - begin)
                print(f"{tool}: {math.exp(logs[-1]):.3f} in {seconds[-1]:.0f} s", flush=True)
            found[tool] = logs, seconds
    base = math.sqrt(statistics.fmean(log**2 for log in found["harness"][0]))
    for tool, (logs, seconds) in found.items():
        scatter = math.sqrt(statistics.fmean(log**2 for log in logs))  # the truth is 0
        each = statistics.fmean(seconds)
        to_width = each * (scatter / base) ** 2
        print(
            f"{tool}: {len(logs)} ratios scatter by {100 * scatter:.1f} % around 1, {each:.0f} s "
            f"each; {to_width:.0f} s to the harness's scatter, if repeating helped as it should"
        )


if __name__ == "__main__":
    main()
