"""Pipelines of a user's: what gives batches to `Model.fit` one after the other (worker's side)."""

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.workloads.datasets import mapped, samples

Kind = Literal["tf.data", "PyDataset", "DataLoader", "generator"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that a timed `fit` trains on.

    Attributes:
        make: Returns the pipeline: a new one if the user gave a function.
        batches: Of an epoch; None if the pipeline is endless or does not say.
        batch_size: Samples of its first batch.
        first: Its first batch, as it came.
        is_fixed: Whether its batches cannot have another size.
    """

    kind: Kind
    make: Callable[[], Any]
    batches: int | None
    batch_size: int
    first: Any
    is_fixed: bool = False

    def refusal(self, batch_size: int) -> str:
        """Say why its batches cannot have a size; empty if they can."""
        if self.is_fixed and batch_size != self.batch_size:
            return f"a batch_sampler makes its batches, of {self.batch_size} samples"
        if self.kind == "PyDataset" and batch_size % self.batch_size:
            return f"{batch_size} samples are no whole number of its batches of {self.batch_size}"
        return ""

    def sized(self, batch_size: int) -> Any:
        """Return the pipeline with batches of a size, to be given to `fit`.

        Its own size is left alone. A tf.data.Dataset is batched anew behind what it does, and
        batches are prefetched again if it prefetches. A DataLoader is made anew with the size.
        Batches of a PyDataset are joined. See `refusal`.
        """
        given = self.make()
        if self.kind == "generator" and not inspect.isgenerator(given):
            given = (batch for batch in given)  # as Keras wants it
        if batch_size == self.batch_size:
            return given
        if self.kind == "tf.data":
            return _batched_anew(given, batch_size)
        if self.kind == "DataLoader":
            return loader(given, batch_size)
        if self.kind == "PyDataset":
            return _in_groups(given, batch_size // self.batch_size)
        return _cut_anew(given, batch_size)


def kind_of(given: Any) -> Kind | None:
    """Return what kind of pipeline something is; None for other data."""
    if hasattr(given, "element_spec"):
        return "tf.data"
    if hasattr(given, "batch_sampler") and hasattr(given, "dataset"):
        return "DataLoader"
    if hasattr(given, "__getitem__") and hasattr(given, "on_epoch_end"):
        return "PyDataset"
    return "generator" if isinstance(given, Iterator) and not hasattr(given, "shape") else None


def length(given: Any) -> int | None:
    """Count the batches of an epoch; None if the pipeline is endless or does not say."""
    kind = kind_of(given)
    if kind == "tf.data":
        many = int(given.cardinality())
        return many if many >= 0 else None
    with contextlib.suppress(TypeError, AttributeError, NotImplementedError):
        if kind == "DataLoader":
            return len(given)
        if kind == "PyDataset" and given.num_batches is not None:
            return int(given.num_batches)
    return None


def batches(given: Any) -> Iterator[Any]:
    """Return the batches of a pipeline, of a PyDataset without its workers."""
    if kind_of(given) != "PyDataset":
        return iter(given)
    many = length(given)
    numbers = itertools.count() if many is None else range(many)
    return (given[number] for number in numbers)


def is_fixed(given: Any) -> bool:
    """Whether it is a DataLoader whose batches a sampler of the user's makes."""
    if kind_of(given) != "DataLoader":
        return False
    own = type(given.batch_sampler).__name__ not in ("BatchSampler", "NoneType")
    return own or given.batch_size is None


def _batched_anew(given: Any, size: int) -> Any:
    import tensorflow as tf

    again = given.rebatch(size)
    return again.prefetch(tf.data.AUTOTUNE) if "Prefetch" in type(given).__name__ else again


_KEPT = (
    "num_workers",
    "collate_fn",
    "pin_memory",
    "timeout",
    "worker_init_fn",
    "multiprocessing_context",
    "generator",
    "prefetch_factor",
    "persistent_workers",
)


def loader(given: Any, size: int, **changes: Any) -> Any:
    """Make a DataLoader anew with another batch size and other arguments."""
    from torch.utils.data import DataLoader, IterableDataset

    named = {name: getattr(given, name) for name in _KEPT} | changes
    if is_fixed(given):
        return DataLoader(given.dataset, batch_sampler=given.batch_sampler, **named)
    named |= {"batch_size": size, "drop_last": given.drop_last}
    if not isinstance(given.dataset, IterableDataset):
        named["sampler"] = given.sampler
    return DataLoader(given.dataset, **named)


def _in_groups(given: Any, many: int) -> Any:
    """A PyDataset each of whose batches is so many of another's, with the same workers."""
    import keras

    count = length(given)

    class Joined(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
        @property
        def num_batches(self) -> int | None:
            return None if count is None else -(-count // many)

        def __getitem__(self, index: int) -> Any:
            end = index * many + many if count is None else min(index * many + many, count)
            return _joined([given[number] for number in range(index * many, end)])

        def on_epoch_end(self) -> None:
            given.on_epoch_end()

    return Joined(
        workers=given.workers,
        use_multiprocessing=given.use_multiprocessing,
        max_queue_size=given.max_queue_size,
    )


def _cut_anew(given: Iterator[Any], size: int) -> Iterator[Any]:
    held = next(given)
    for batch in given:
        while samples(held) >= size:
            yield _cut(held, 0, size)
            held = _cut(held, size, None)
        held = _joined([held, batch]) if samples(held) else batch
    for start in range(0, samples(held), size):
        yield _cut(held, start, start + size)


def _cut(batch: Any, start: int, stop: int | None) -> Any:
    batch = tuple(batch) if isinstance(batch, list) else batch
    return mapped(batch, lambda array: None if array is None else np.asarray(array)[start:stop])


def _joined(parts: list[Any]) -> Any:
    """Join batches of the same structure into one."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts]) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(_joined([*its]) for its in zip(*parts, strict=True))
    return None if first is None else np.concatenate([np.asarray(part) for part in parts])
