"""How `fit` gets its batches: the lever `feed`.

`arrays` is Keras's own way, `slices` shuffles samples; `cached`, `device` and `pydataset` are
batched first and shuffle whole batches.
"""

import random
from operator import itemgetter
from typing import Any

from harness.errors import BadCase
from harness.records.lever_declarations import FEED
from harness.workloads.datasets import mapped, samples


def arguments(feed: str, backend: str, part: tuple[Any, ...], batch_size: int) -> dict[str, Any]:
    """The arguments of `Model.fit` that hold the data: x, y and weights, as far as there are any.

    Each is an array, or a dict or tuple of arrays.
    """
    if feed == "arrays":
        return {
            **dict(zip(("x", "y", "sample_weight"), part, strict=False)),
            "batch_size": batch_size,
        }
    if len(part) != 2:
        raise BadCase(f"feed={feed} takes data of (x, y), without weights")
    x, y = part
    if feed == "pydataset" or (feed == "device" and backend != "tensorflow"):
        return {"x": _py_dataset(x, y, batch_size, on_device=feed == "device")}
    if feed == "device":
        return {"x": _resident(x, y, batch_size)}
    import tensorflow as tf

    names = {"tf": tf, "x": x, "y": y, "len": samples}
    # A constant of `LEVERS`, as the report prints it.
    return {"x": eval(FEED.batches[feed].format(size=batch_size), names)}  # noqa: S307


def _py_dataset(x: Any, y: Any, size: int, *, on_device: bool) -> Any:
    """A PyDataset whose batches, tensors on the device or arrays, are shuffled after each epoch."""
    import keras

    batches = [mapped((x, y), itemgetter(slice(i, i + size))) for i in range(0, samples(x), size)]
    if on_device:
        to_tensor = keras.ops.convert_to_tensor
        batches = [keras.tree.map_structure(to_tensor, batch) for batch in batches]

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, index: int) -> Any:
            return batches[index]

        def on_epoch_end(self) -> None:
            random.shuffle(batches)

    return Batches()


def _resident(x: Any, y: Any, size: int) -> Any:
    """Batches cut from tensors that hold all samples; tf.data copies them to a GPU in advance.

    Its pipelines run on the CPU and cannot cut tensors in the memory of a GPU.
    """
    import tensorflow as tf

    with tf.device("CPU:0"):
        held = mapped((x, y), tf.constant)

    def batch(number: Any) -> Any:
        return mapped(held, itemgetter(slice(number * size, (number + 1) * size)))

    count = -(-samples(x) // size)
    dataset = tf.data.Dataset.range(count).shuffle(count).map(batch)
    gpus = tf.config.list_logical_devices("GPU")
    return dataset.apply(tf.data.experimental.prefetch_to_device(gpus[0].name)) if gpus else dataset
