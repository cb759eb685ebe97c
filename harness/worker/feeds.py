"""How `fit` gets its batches: as the data comes, or by the lever `feed`.

Of data in memory, `arrays` is Keras's own way, `slices` shuffles samples; `cached`, `device` and
`pydataset` are batched first and shuffle whole batches. A user's pipeline is trained on as it is,
or changed.
"""

import os
import random
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from harness.errors import BadCase
from harness.records import Case
from harness.records.lever_declarations import FEED, OF_PIPELINES
from harness.workloads import pipelines
from harness.workloads.datasets import Dataset, mapped, samples
from harness.workloads.pipelines import Pipeline


@dataclass(frozen=True, slots=True)
class Feed:
    """What `fit` is given.

    Attributes:
        kind: A setting of the lever, or the kind of a pipeline.
        arguments: Of `Model.fit` that hold the data.
        batch: A batch as the feed gives it, of any size.
        samples: Of the epoch to be timed.
        whole: Whether those are all samples of an epoch.
        epochs: To be trained; the last one is timed.
    """

    kind: str
    arguments: dict[str, Any]
    batch: Any
    samples: int
    whole: bool
    epochs: int


def feed(case: Case, data: Dataset, steps: int) -> Feed:
    """Prepare one epoch of so many steps, or of all samples if these are fewer.

    Raises:
        BadCase: the data cannot be fed in that way.
    """
    if case.feed in OF_PIPELINES:
        if data.pipeline is None or why_in_memory(case, data):
            why = why_in_memory(case, data) or "the data are arrays"
            raise BadCase(f"feed={case.feed} changes a pipeline: {why}")
        return _of_pipeline(case, data, steps)
    if case.feed is None and data.pipeline is not None and not why_in_memory(case, data):
        return _of_pipeline(case, data, steps)
    size = case.batch_size
    whole = steps * size >= data.epoch_samples
    if data.pipeline is not None or data.unlike:  # its first batches stand for all
        data = data.repeated(min(steps * size, data.epoch_samples))
    held = samples(data.x_train)  # an epoch of random data has more
    count = data.epoch_samples if whole else min(steps, held // size) * size
    part, kind = data.part(count), case.feed or "arrays"
    ragged = count % (size * case.steps_per_execution)
    arguments = _of_arrays(kind, case.backend, part, size)
    return Feed(kind, arguments, data.part(size), count, whole, 2 if ragged else 1)


def why_in_memory(case: Case, data: Dataset) -> str:
    """Return why `fit` cannot train on the pipeline of the data; empty if it can."""
    return data.unlike if data.pipeline is None else data.pipeline.refusal(case.batch_size)


def _of_pipeline(case: Case, data: Dataset, steps: int) -> Feed:
    pipeline: Pipeline = data.pipeline
    size = case.batch_size
    many = None if pipeline.batches is None else -(-data.epoch_samples // size)
    whole = many is not None and steps >= many
    count = many if many is not None and whole else steps
    source, epochs = pipeline.sized(size), 1
    ends = whole and pipeline.kind != "generator" and pipelines.length(source) is not None
    ends = ends and not data.left_out  # else a last batch would come that the model cannot take
    if case.feed == "cache":  # the second epoch reads what the first has kept
        source, epochs, ends = source.take(count).cache(), 2, True
    elif case.feed is not None:
        source = _changed(source, case.feed, pipeline)
    trained = data.epoch_samples if whole else count * size
    if ends and trained % (size * case.steps_per_execution):
        epochs = 2
    arguments = {"x": source, **({} if ends else {"steps_per_epoch": count})}
    kind = case.feed or pipeline.kind
    batch = data.part(size) if pipeline.kind == "tf.data" else pipeline.first
    return Feed(kind, arguments, batch, trained, whole, epochs)


def _changed(source: Any, setting: str, pipeline: Pipeline) -> Any:
    """Change a pipeline by a setting of `OF_PIPELINES`; `BadCase` if the kind has none such."""
    workers = len(os.sched_getaffinity(0))
    if pipeline.kind == "tf.data" and setting != "workers":
        import tensorflow as tf

        if setting == "prefetch":
            return source.prefetch(tf.data.AUTOTUNE)
        options = tf.data.Options()
        options.experimental_optimization.map_parallelization = True
        return source.with_options(options)
    if setting == "workers" and pipeline.kind == "PyDataset":
        source.workers = workers
        return source
    if setting == "workers" and pipeline.kind == "DataLoader":
        return pipelines.loader(source, source.batch_size, num_workers=workers)
    raise BadCase(f"feed={setting} is not for a {pipeline.kind}")


def arrays(part: tuple[Any, ...], batch_size: int) -> dict[str, Any]:
    """The arguments of `Model.fit` that hold the data: x, y and weights, as far as there are any.

    Each is an array, or a dict or tuple of arrays.
    """
    return {**dict(zip(("x", "y", "sample_weight"), part, strict=False)), "batch_size": batch_size}


def _of_arrays(kind: str, backend: str, part: tuple[Any, ...], batch_size: int) -> dict[str, Any]:
    if kind == "arrays":
        return arrays(part, batch_size)
    if len(part) != 2:
        raise BadCase(f"feed={kind} takes data of (x, y), without weights")
    x, y = part
    if kind == "pydataset" or (kind == "device" and backend != "tensorflow"):
        return {"x": _py_dataset(x, y, batch_size, on_device=kind == "device")}
    if kind == "device":
        return {"x": _resident(x, y, batch_size)}
    import tensorflow as tf

    names = {"tf": tf, "x": x, "y": y, "len": samples}
    # A constant of `LEVERS`, as the report prints it.
    return {"x": eval(FEED.batches[kind].format(size=batch_size), names)}  # noqa: S307


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
