"""Bundled models with one layer left out, n times as wide or n times in a row.

Each is a function of a worker, by a name such as `baseline_conv2d_x2`.
"""

from collections.abc import Callable
from typing import Any, Literal

from harness.workloads.variants import BUNDLED, network

What = Literal["left out", "wide", "in a row"]
LAYERS: dict[str, What] = {
    "conv2d": "wide",
    "conv2d_1": "wide",
    "max_pooling2d": "left out",
    "dropout": "in a row",
    "dense": "wide",
    "dropout_1": "in a row",
}


def layers(model: str) -> dict[str, What]:
    """Return the layers of a bundled model that can be changed, and how."""
    hidden = BUNDLED[model].get("hidden", 128)
    return {name: what for name, what in LAYERS.items() if name != "dense" or hidden}


def variant(model: str, layer: str, times: int) -> str:
    """Return the name by which a worker finds a changed model; 0 times is left out."""
    return f"{__name__}:{model}_{layer}_x{times}"


def _changed(layer: str, times: int, model: dict[str, Any]) -> dict[str, Any]:
    """Return what changes in the arguments of `network`."""
    first, second = model.get("filters", (32, 64))
    changes: dict[str, dict[str, Any]] = {
        "conv2d": {"filters": (times * first, second)},
        "conv2d_1": {"filters": (first, times * second)},
        "max_pooling2d": {"pool": 0},
        "dropout": {"in_a_row": (times, 1)},
        "dense": {"hidden": times * model.get("hidden", 128)},
        "dropout_1": {"in_a_row": (1, times)},
    }
    return changes[layer]


def __getattr__(name: str) -> Callable[[], Any]:
    """Return the function that builds a changed model."""
    start, _, times = name.rpartition("_x")
    model, _, layer = start.partition("_")
    if model not in BUNDLED or layer not in LAYERS or not times.isdigit():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    arguments = BUNDLED[model]
    return lambda: network(**{**arguments, **_changed(layer, int(times), arguments)})
