"""Bundled models with one layer several times in its place; a worker finds each by its name.

`baseline_conv2d_x2` has two convolutions side by side in place of the first one, with weights of
their own; their outputs are added. A layer without weights would be computed once for all copies,
so that only one that gives what it takes in the same shape has copies, in a row. Each copy does
just what the layer did, at the same rate.
"""

from collections.abc import Callable
from typing import Any

from harness.workloads.variants import BUNDLED, network


def variant(model: str, layer: str, times: int) -> str:
    """Return the name by which a worker finds a changed model."""
    return f"{__name__}:{model}_{layer}_x{times}"


def __getattr__(name: str) -> Callable[[], Any]:
    """Return the function that builds a changed model."""
    start, _, times = name.rpartition("_x")
    model, _, layer = start.partition("_")
    if model not in BUNDLED or not layer or not times.isdigit():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return lambda: _changed(network(**BUNDLED[model]), layer, int(times))


def _changed(model: Any, name: str, times: int) -> Any:
    """Return a sequential model with a layer several times, compiled as it was."""
    import keras

    def copies(layer: Any) -> list[Any]:
        config = layer.get_config()
        return [
            type(layer).from_config({**config, "name": f"{name}_copy_{number}"})
            for number in range(times)
        ]

    class SideBySide(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
        """Adds the outputs of several layers."""

        def __init__(self, layers: list[Any]) -> None:
            super().__init__()
            self.layers = layers

        def build(self, shape: Any) -> None:
            for layer in self.layers:
                layer.build(shape)

        def call(self, x: Any) -> Any:
            first, *others = (layer(x) for layer in self.layers)
            return sum(others, first)

    layers: list[Any] = []
    for layer in model.layers:
        if layer.name != name:
            layers.append(layer)
        elif layer.input.shape == layer.output.shape:
            layers += copies(layer)
        else:
            layers.append(SideBySide(copies(layer)))
    changed = keras.Sequential([keras.Input(model.input_shape[1:]), *layers])
    changed.compile_from_config(model.get_compile_config())
    return changed
