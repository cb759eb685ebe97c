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

    convolutions = (
        keras.layers.Conv1D,
        keras.layers.Conv2D,
        keras.layers.Conv3D,
        keras.layers.DepthwiseConv1D,
        keras.layers.DepthwiseConv2D,
    )
    free = (
        keras.layers.Embedding,
        keras.layers.BatchNormalization,
        keras.layers.LayerNormalization,
    )
    total = 0
    for layer in _leaves(model, keras.Model):
        if not layer.weights or isinstance(layer, free):
            continue
        name = type(layer).__name__
        try:
            shape = layer.output.shape
        except (AttributeError, ValueError):  # a subclassed model, or a layer used twice
            return None, f"not counted: {name} has no single output shape"
        if isinstance(layer, convolutions):
            channels_first = layer.data_format == "channels_first"
            positions = shape[2:] if channels_first else shape[1:-1]
        elif isinstance(layer, keras.layers.Dense):
            positions = shape[1:-1]
        else:
            return None, f"not counted: no rule for {name}"
        if None in positions:
            return None, f"not counted: the output shape of {name} is open"
        total += math.prod(positions) * math.prod(layer.kernel.shape)
    return total, "layers"


def _leaves(model: Any, nested: type) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, nested):
            yield from _leaves(layer, nested)
        else:
            yield layer
