"""Bundled models with one layer left out or made twice as wide, each a function of a worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from harness.workloads.variants import BUNDLED, network

OUT, TWICE = "left out", "twice as wide"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one layer.

    Attributes:
        layer: Its name in the model of Keras.
        what: `left out` or `twice as wide`.
        arguments: Of `network`, for the changed model.
    """

    layer: str
    what: str
    arguments: Mapping[str, Any]


def _changes(name: str) -> dict[str, Change]:
    """Return the changes of a bundled model that leave the other layers what they are."""
    arguments = BUNDLED[name]
    first, second = arguments.get("filters", (32, 64))
    after_pooling, before_output = arguments.get("dropouts", (0.25, 0.5))
    found = {
        "wide_conv2d": Change("conv2d", TWICE, {"filters": (2 * first, second)}),
        "wide_conv2d_1": Change("conv2d_1", TWICE, {"filters": (first, 2 * second)}),
        "no_max_pooling2d": Change("max_pooling2d", OUT, {"pool": 0}),
        "no_dropout": Change("dropout", OUT, {"dropouts": (0.0, before_output)}),
        "no_dropout_1": Change("dropout_1", OUT, {"dropouts": (after_pooling, 0.0)}),
    }
    if hidden := arguments.get("hidden", 128):
        found["wide_dense"] = Change("dense", TWICE, {"hidden": 2 * hidden})
    return found


CHANGES: Mapping[str, Mapping[str, Change]] = MappingProxyType(
    {name: _changes(name) for name in ("baseline", "improved")}
)


def variant(model: str, change: str) -> str:
    """Return the name by which a worker finds a changed model."""
    return f"{__name__}:{model}_{change}"


def __getattr__(name: str) -> Callable[[], Any]:
    """Return the function that builds a changed model: `baseline_wide_conv2d`."""
    model, _, change = name.partition("_")
    if change not in CHANGES.get(model, {}):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    its = CHANGES[model][change].arguments
    return lambda: network(**{**BUNDLED[model], **its})
