"""Multiply-accumulates of a forward pass, counted from a Keras model's layers."""

import math
from collections.abc import Iterator
from typing import Any


def from_layers(model: Any) -> tuple[int | None, str]:
    """Count multiply-accumulates per sample, biases left out.

    Convolutions cost output positions × kernel weights, dense layers their
    kernel weights (per position). Layers without weights cost nothing.

    Returns:
        The count and its source; None when a layer with weights is of a kind
        that this does not know, and the source names it.
    """
    import keras

    convolutions = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    free = (
        keras.layers.Embedding,
        keras.layers.BatchNormalization,
        keras.layers.LayerNormalization,
    )
    total = 0
    for layer in _leaves(model, keras.Model):
        if not layer.weights or isinstance(layer, free):
            continue
        if isinstance(layer, convolutions):
            positions = math.prod(_spatial(layer))
            total += positions * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * math.prod(layer.kernel.shape)
        else:
            return None, f"not counted: no rule for {type(layer).__name__}"
    return total, "layers"


def _leaves(model: Any, nested: type) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, nested):
            yield from _leaves(layer, nested)
        else:
            yield layer


def _spatial(layer: Any) -> tuple[int, ...]:
    shape = layer.output.shape
    return tuple(shape[2:] if layer.data_format == "channels_first" else shape[1:-1])
