"""Are changes of a history found where they are, and none where there is none?

Simulated: histories of 60 points that scatter by 2 %, with one step of 5 % or with none. Where
Apache Otava is installed, its E-divisive means with a t test judge the same series: run this in an
environment of its own (`pip install apache-otava`), since it needs an older numpy. Run as
`python docs/evidence/change_points.py`. With `--record FILE` the answers of Otava are written to a
file, which a test holds against those of the harness.
"""

import argparse
import importlib.metadata
import json
import math
from pathlib import Path

import numpy as np

from harness.analyze.history import change_points

TRIES, POINTS, SIGMA, STEP = 500, 60, 0.02, math.log(1.05)


def ours(values: np.ndarray) -> list[int]:
    """The changes that the history shows; the errors tell half of the scatter."""
    found = change_points.find(values, np.full(len(values), SIGMA / 2))
    return [change.index for change in found]


def otava(values: np.ndarray) -> list[int]:
    """Those of Otava at its defaults."""
    from otava.analysis import compute_change_points

    found, _ = compute_change_points(np.exp(values).tolist())
    return [int(change.index) for change in found]


def histories(tries: int = TRIES) -> tuple[list[np.ndarray], list[int], list[np.ndarray]]:
    """Series without a step, places of a step, and the same series with a step there.

    The first series are the same for any number of tries.
    """
    plain = [np.random.default_rng([2026, n]).normal(0, SIGMA, POINTS) for n in range(tries)]
    places = [10 + n * 7 % (POINTS - 20) for n in range(tries)]
    stepped = [y + STEP * (np.arange(POINTS) >= at) for y, at in zip(plain, places, strict=True)]
    return plain, places, stepped


def main() -> None:
    """Print a line per method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path, help="write the answers of Otava to this file")
    record = parser.parse_args().record
    methods = {"harness history": ours}
    try:
        otava(np.zeros(20))
        methods["Apache Otava"] = otava
    except ImportError:
        print("Apache Otava is not installed")
    plain, places, stepped = histories()
    for name, method in methods.items():
        alarms = sum(bool(method(y)) for y in plain)
        pairs = zip(map(method, stepped), places, strict=True)
        hits = sum(any(abs(one - at) <= 2 for one in its) for its, at in pairs)
        print(
            f"{name}: {100 * hits / TRIES:.1f} % of steps found within 2 points, "
            f"{100 * alarms / TRIES:.1f} % of histories without a step show one; n = {TRIES} each"
        )
    if record:
        recorded = 100
        answers = {
            "version": importlib.metadata.version("apache-otava"),
            "plain": [otava(y) for y in plain[:recorded]],
            "stepped": [otava(y) for y in stepped[:recorded]],
        }
        record.write_text(json.dumps(answers) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
