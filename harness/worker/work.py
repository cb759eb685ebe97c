"""The work of a Keras model, counted from its layers: arithmetic, memory, kinds of layers."""

import hashlib
import json
import math
import time
from collections.abc import Iterable, Iterator
from typing import Any

_SHAPE_KEYS = (  # of a layer's configuration: all that tells it from another but its width
    "kernel_size", "strides", "padding", "dilation_rate", "pool_size", "rate", "activation",
)  # fmt: skip
_LONG_ENOUGH = 0.005
_LARGEST_PRODUCT = 8192
_SMALLEST_COPY = 128 * 2**20  # beyond the caches that a worker has to itself
_LARGEST_COPY = 2**30


def macs(model: Any) -> tuple[int | None, str]:
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
        keras.layers.GroupNormalization,
        keras.layers.LayerNormalization,
        keras.layers.Normalization,
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


def bytes_of(variables: Iterable[Any]) -> int:
    """Memory of variables, in bytes."""
    return sum(math.prod(v.shape) * _itemsize(v.dtype) for v in variables)


def activation_bytes(model: Any) -> int | None:
    """What the layers put out for one sample in a forward pass, in bytes.

    Layers that only reshape are left out. None when a shape is open or not to
    be had.
    """
    import keras

    views = (keras.layers.Flatten, keras.layers.Reshape, keras.layers.InputLayer)
    total = 0
    for layer in _leaves(model, keras.Model):
        if isinstance(layer, views):
            continue
        try:
            shape = layer.output.shape[1:]
        except (AttributeError, ValueError):
            return None
        if None in shape:
            return None
        total += math.prod(shape) * _itemsize(layer.compute_dtype)
    return total


def layout(model: Any) -> str | None:
    """Name the kinds of layers in their order, with all but their widths.

    Equal for models that differ only in channels and units: a width sweep.
    None when a layer of the user's own does not say how it is configured: that
    must not cost a measurement.
    """
    import keras

    kinds = []
    for layer in _leaves(model, keras.Model):
        try:
            config = layer.get_config()
        except Exception:  # whatever a user's layer does
            return None
        kinds.append([type(layer).__name__, {k: config[k] for k in _SHAPE_KEYS if k in config}])
    text = json.dumps(kinds, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def product_rate(dtype: str, seconds: float) -> tuple[float, int]:
    """The best rate of a square matrix product through Keras's backend.

    The size doubles from 512 until a product lasts 5 ms, so that a large
    device is busy.

    Args:
        dtype: Of the matrices.
        seconds: How long products of the last size are repeated.

    Returns:
        Floating-point operations a second, two a multiply-accumulate, and the size.
    """
    import keras

    def product(matrix: Any) -> float:
        start = time.perf_counter()
        result = keras.ops.matmul(matrix, matrix)
        _wait_for(result[0, 0])
        return time.perf_counter() - start

    size = 512
    while True:
        matrix = keras.ops.full((size, size), 0.5, dtype=dtype)
        product(matrix)
        best = product(matrix)
        if best >= _LONG_ENOUGH or size >= _LARGEST_PRODUCT:
            break
        size *= 2
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, product(matrix))
    return 2 * size**3 / best, size


def copy_rate(seconds: float) -> tuple[float, int]:
    """The best rate at which an array is read and another written through Keras's backend.

    The operation adds 1 to every number, float32 whatever the precision: a CPU
    computes in the smaller types too slowly to show what its memory does. The
    arrays double from 128 MiB until that lasts 5 ms, so that a large device is
    busy, and up to 1 GiB.

    Args:
        seconds: How long copies of the last size are repeated.

    Returns:
        Bytes read and written a second, and the bytes of each array.
    """
    import keras

    def copy(array: Any) -> float:
        start = time.perf_counter()
        result = keras.ops.add(array, 1)
        _wait_for(result[0])
        return time.perf_counter() - start

    size = _SMALLEST_COPY
    while True:
        array = keras.ops.full((size // 4,), 0.5, dtype="float32")
        copy(array)
        best = copy(array)
        if best >= _LONG_ENOUGH or size >= _LARGEST_COPY:
            break
        size *= 2
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, copy(array))
    return 2 * size / best, size


def _wait_for(number: Any) -> None:
    """Wait until the device has it; NumPy has no bfloat16."""
    import keras

    float(keras.ops.convert_to_numpy(keras.ops.cast(number, "float32")))


def _itemsize(dtype: Any) -> int:
    """Bytes of a number of that Keras type: `float32` is 4, `bfloat16` 2, `bool` 1."""
    digits = "".join(c for c in str(dtype).rsplit(".", 1)[-1] if c.isdigit())
    return int(digits) // 8 if digits else 1


def _leaves(model: Any, nested: type) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, nested):
            yield from _leaves(layer, nested)
        else:
            yield layer
