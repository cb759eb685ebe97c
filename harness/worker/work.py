"""The work of a Keras model besides its arithmetic: memory, kinds of layers; rates of a machine."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# What tells layers apart but their width, in their configuration.
_KEYS = ["kernel_size", "strides", "padding", "dilation_rate", "pool_size", "rate", "activation"]
_LONG_ENOUGH = 0.005  # seconds of one operation
_TOGETHER_SECONDS = 0.02  # so that a launch and a wait are a small part
_LARGEST_PRODUCT = 8192
_SMALLEST_COPY = 128 * 2**20  # beyond the caches that a worker has to itself
_LARGEST_COPY = 2**30


def _output_shape(layer: Any) -> Any:
    """The shape with the batch; None for a subclassed model, or a layer used twice."""
    try:
        return layer.output.shape
    except (AttributeError, ValueError):
        return None


def bytes_of(variables: Iterable[Any]) -> int:
    """Memory of variables, in bytes."""
    return sum(math.prod(v.shape) * itemsize(v.dtype) for v in variables)


def activation_bytes(model: Any) -> int | None:
    """Bytes of all layers' outputs for one sample, but for reshapes; None if a shape is unknown."""
    import keras

    total = 0
    for layer in _leaves(model, keras.Model):
        if is_view(layer):
            continue
        shape = _output_shape(layer)
        if shape is None or None in shape[1:]:
            return None
        total += math.prod(shape[1:]) * itemsize(layer.compute_dtype)
    return total


def is_view(layer: Any) -> bool:
    """Whether a layer gives the memory that it takes, in another shape."""
    import keras

    views = (keras.layers.Flatten, keras.layers.Reshape, keras.layers.InputLayer)
    return isinstance(layer, views)


def layout(model: Any) -> str | None:
    """Name the layers in their order, whatever their width; None if one has no configuration."""
    import keras

    kinds = []
    for layer in _leaves(model, keras.Model):
        try:
            config = layer.get_config()
        except Exception:  # a user's layer may raise anything
            return None
        kinds.append([type(layer).__name__, {k: config[k] for k in _KEYS if k in config}])
    text = json.dumps(kinds, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def product_rate(dtype: str, seconds: float) -> tuple[float, int]:
    """The best rate of a square matrix product through Keras's backend, and the matrix's size.

    Floating-point operations per second, two per multiply-accumulate. The products of the last
    size are repeated for some seconds.
    """
    import keras

    best, size = _best_seconds(
        lambda size: keras.ops.full((size, size), 0.5, dtype=dtype),
        lambda matrix: keras.ops.matmul(matrix, matrix),
        (512, _LARGEST_PRODUCT),
        seconds,
    )
    return 2 * size**3 / best, size


def copy_rate(seconds: float) -> tuple[float, int]:
    """Bytes per second read from one array plus written to another, and the bytes of each array.

    The operation adds 1 to float32 numbers whatever the precision is: a CPU computes in smaller
    types too slowly to show the rate of its memory. Keras's backend does it, as in `product_rate`.
    """
    import keras

    best, size = _best_seconds(
        lambda size: keras.ops.full((size // 4,), 0.5, dtype="float32"),
        lambda array: keras.ops.add(array, 1),
        (_SMALLEST_COPY, _LARGEST_COPY),
        seconds,
    )
    return 2 * size / best, size


def _best_seconds(
    make: Callable[[int], Any], apply: Callable[[Any], Any], sizes: tuple[int, int], seconds: float
) -> tuple[float, int]:
    """The shortest time of an operation, and the size of its array.

    The size doubles until one operation takes 5 ms, which keeps a large device busy; so many of
    them run before one wait that these take 20 ms.
    """

    def timed(times: int = 1) -> float:
        start = time.perf_counter()
        for _ in range(times):
            result = apply(array)
        _wait_for(result)
        return (time.perf_counter() - start) / times

    size, largest = sizes
    while True:
        array = make(size)
        timed()
        best = timed()
        if best >= _LONG_ENOUGH or size >= largest:
            break
        size *= 2
    times = 1
    while best * times < _TOGETHER_SECONDS:
        times = max(2 * times, math.ceil(_TOGETHER_SECONDS / best))
        best = timed(times)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, timed(times))
    return best, size


def _wait_for(array: Any) -> None:
    """Wait until the device has computed it; NumPy has no bfloat16."""
    import keras

    first = keras.ops.ravel(array)[0]
    float(keras.ops.convert_to_numpy(keras.ops.cast(first, "float32")))


def itemsize(dtype: Any) -> int:
    """Bytes per number of a Keras type: `float32` 4, `bfloat16` 2, `bool` 1."""
    digits = "".join(c for c in str(dtype).rsplit(".", 1)[-1] if c.isdigit())
    return int(digits) // 8 if digits else 1


def _leaves(model: Any, nested: type) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, nested):
            yield from _leaves(layer, nested)
        else:
            yield layer
