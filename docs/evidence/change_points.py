"""Are changes of a history found where they are, and none where there is none?

Simulated: histories of 60 points that scatter by 2 %, with one step of 5 % or with none. Where
Apache Otava is installed, its E-divisive means with a t test judge the same series: run this in an
environment of its own (`pip install apache-otava`), since it needs an older numpy. Run as
`python docs/evidence/change_points.py`.
"""

import math

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
    return [change.index for change in found]


def main() -> None:
    """Print a line per method."""
    methods = {"harness history": ours}
    try:
        otava(np.zeros(20))
        methods["Apache Otava"] = otava
    except ImportError:
        print("Apache Otava is not installed")
    rng = np.random.default_rng(2026)
    plain = [rng.normal(0, SIGMA, POINTS) for _ in range(TRIES)]
    places = [int(rng.integers(10, POINTS - 10)) for _ in range(TRIES)]
    stepped = [y + STEP * (np.arange(POINTS) >= at) for y, at in zip(plain, places, strict=True)]
    for name, method in methods.items():
        alarms = sum(bool(method(y)) for y in plain)
        pairs = zip(map(method, stepped), places, strict=True)
        hits = sum(any(abs(one - at) <= 2 for one in its) for its, at in pairs)
        print(
            f"{name}: {100 * hits / TRIES:.1f} % of steps found within 2 points, "
            f"{100 * alarms / TRIES:.1f} % of histories without a step show one; n = {TRIES} each"
        )


if __name__ == "__main__":
    main()
