"""Data of a user's, whatever `Model.fit` takes, as arrays in memory (worker's side)."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, ValuesView
from typing import Any

import numpy as np

from harness.errors import BadData
from harness.workloads import datasets, pipelines, sources
from harness.workloads.datasets import Array, Arrays, Dataset, leaves, samples
from harness.workloads.pipelines import Pipeline

_MOST_SAMPLES = datasets.TRAIN_SAMPLES
_MOST_SECONDS = 20.0
_SMALL, _SHORT = 1024, 1.0  # samples, seconds
_UNLIKE = "sequences of unlike length; pad them (keras.utils.pad_sequences)"


@dataclasses.dataclass(frozen=True, slots=True)
class _Held:
    """What is held of the training or the test data.

    Attributes:
        samples: Of an epoch, if they are not those that are held.
        pipeline: That the data came from, if `fit` can train on it.
    """

    x: Any = None
    y: Any = None
    weights: Any = None
    samples: int | None = None
    pipeline: Pipeline | None = None


def load(name: str, enough: int = _MOST_SAMPLES) -> Dataset:
    """Load `file.py:name`: a function is called, data that is ready is taken.

    It is what `Model.fit` takes: `x`, `(x, y)`, `(x, y, sample_weight)` of arrays, frames or
    lists; a tf.data.Dataset, a PyDataset, a Torch DataLoader or a generator of batches; or a pair
    of those, for training and for testing, as in `keras.datasets`. Several inputs or outputs are a
    dict by name, or a list.

    Args:
        name: Of the function or the data.
        enough: Samples to hold of a pipeline. Of one that does not tell its length up to 60 000
            are held, to find the length. Of any at most 256 MiB or 20 s are held.

    Raises:
        BadData: it cannot be used; the text says what it is and what to return instead.
    """
    found = sources.find(name)
    given, verb = (found(), "returned") if callable(found) else (found, "is")
    if given is None:
        raise BadData(f"{name} {verb} None, not (x, y)")
    where = f"{name} {verb}"
    train, test = given if _is_pair(given) else (given, None)

    def again() -> Any:
        return found() if test is None else found()[0]

    steps = sources.steps_per_epoch(name)
    held = _part(train, where, again if callable(found) else None, enough, steps)
    tested = _Held() if test is None else _part(test, where)
    data = datasets.checked(
        name, held.x, held.y, tested.x, tested.y, held.weights, train_samples=held.samples
    )
    return dataclasses.replace(data, pipeline=held.pipeline)


def _is_pair(given: Any) -> bool:
    """Whether it is data for training and for testing."""
    if not isinstance(given, tuple) or len(given) != 2:
        return False
    return all(isinstance(part, tuple) or pipelines.kind_of(part) for part in given)


def _part(
    given: Any,
    where: str,
    again: Callable[[], Any] | None = None,
    enough: int = _MOST_SAMPLES,
    steps: int | None = None,
) -> _Held:
    """Hold data as arrays; `again` makes them anew, and an epoch has so many steps if given."""
    if pipelines.kind_of(given):
        return _collected(given, where, again, enough, steps)
    return _Held(*_values(given, where))


def _values(given: Any, where: str) -> tuple[Any, Any, Any]:
    """Return x, y and weights as arrays."""
    if isinstance(given, tuple):
        if not 1 <= len(given) <= 3:
            raise BadData(f"{where} {len(given)} values, not x, (x, y) or (x, y, sample_weight)")
        x, y, weights = (*given, None, None)[:3]
    else:
        x, y, weights = given, None, None
    if pipelines.kind_of(x):
        raise BadData(f"{where} {type(x).__name__} as x of a tuple; return it alone")
    return (
        _arrays(x, f"{where} as x", _array),
        None if y is None else _arrays(y, f"{where} as y", _target),
        None if weights is None else _arrays(weights, f"{where} as sample_weight", _array),
    )


def _collected(
    given: Any, where: str, again: Callable[[], Any] | None, enough: int, steps: int | None
) -> _Held:
    """Hold the first batches of a pipeline, all of them if they are few."""
    begin, held = time.monotonic(), list[tuple[Any, Any, Any]]()
    many, rows, size, first = steps or pipelines.length(given), 0, 0, None
    most = _MOST_SAMPLES if many is None else min(enough, _MOST_SAMPLES)
    complete = True
    for batch in pipelines.batches(given):
        if isinstance(batch, (tuple, list)) and not 1 <= len(batch) <= 3:
            raise BadData(f"{where} batches of {len(batch)} values, not x, (x, y) or (x, y, w)")
        part = _values(tuple(batch) if isinstance(batch, list) else batch, where)
        if any(array.ndim == 0 for array in leaves(part[0])):
            raise BadData(f"{where} single samples, not batches; batch them, as fit needs it")
        first = batch if first is None else first
        held.append(part)
        rows += samples(part[0])
        size += sum(array.nbytes for array in leaves(part[0]))
        seconds = time.monotonic() - begin
        # Of a small data set all are held: then the samples of an epoch are known exactly.
        full = rows >= most and (rows >= _SMALL or seconds > _SHORT)
        if full or size >= datasets.MOST_BYTES or seconds > _MOST_SECONDS:
            complete = many == len(held)
            break
    if not held:
        raise BadData(f"{where} no batch")
    x, y, weights = (_joined([part[i] for part in held], where) for i in range(3))
    kind, pipeline = pipelines.kind_of(given), None
    if kind and (again or kind != "generator" or not complete):  # one that has ended gives no more
        make = again or (lambda: given)
        fixed = pipelines.is_fixed(given)
        pipeline = Pipeline(kind, make, many, samples(held[0][0]), first, fixed)
    epoch = None if complete or many is None else rows * many // len(held)
    return _Held(x, y, weights, epoch, pipeline)


def _joined(parts: list[Any], where: str) -> Any:
    """Join the batches of x, y or weights; batches that differ in a shape are refused."""
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts], where) for key in first}
    if isinstance(first, tuple):
        return tuple(_joined([*its], where) for its in zip(*parts, strict=True))
    shapes = dict.fromkeys(part.shape[1:] for part in parts)
    if len(shapes) > 1:
        few = ", ".join(map(str, [*shapes][:3]))
        raise BadData(f"{where} batches of samples of unlike shapes ({few}); pad them to one")
    return np.concatenate(parts)


def _arrays(given: Any, where: str, convert: Callable[[Any, str], Array]) -> Arrays:
    if isinstance(given, dict):
        return {str(name): _arrays(its, where, convert) for name, its in given.items()}
    several = isinstance(given, (list, tuple)) and given
    if several and all(getattr(part, "ndim", 0) > 0 or hasattr(part, "nnz") for part in given):
        return tuple(_arrays(part, where, convert) for part in given)
    return convert(given, where)


def _target(given: Any, where: str) -> Array:
    array = _array(given, where)
    if array.dtype.kind in "OUS":
        example = array.ravel()[0] if array.size else ""
        raise BadData(
            f"{where} text ({str(example)!r}), not numbers; map each class to a number from 0"
        )
    return array


def _array(given: Any, where: str) -> Array:
    """Return an array of numbers or text; bytes of images become 0 … 1, float64 float32."""
    name = type(given).__name__
    if hasattr(given, "toarray") and hasattr(given, "nnz"):  # scipy.sparse
        rows, columns = given.shape
        if 4 * rows * columns > 16 * datasets.MOST_BYTES:
            raise BadData(f"{where} {name} of shape {given.shape}, too large as .toarray()")
        given = given.toarray()
    elif hasattr(given, "row_splits"):
        raise BadData(f"{where} {name}; sequences of unlike length need padding: .to_tensor()")
    elif hasattr(given, "to_numpy"):
        given = _of_frame(given, where)
    elif hasattr(given, "detach"):  # a Torch tensor
        given = given.detach().cpu().numpy()
    elif isinstance(given, (map, filter, zip, range, set, ValuesView)):
        given = [*given]
    try:
        array = np.asarray(given)
    except (ValueError, TypeError) as error:
        raise BadData(f"{where} {name} of {_unlike(given)}") from error
    if array.dtype == object:
        array = _of_objects(array, where)
    if array.dtype.kind not in "biufUSO" and array.dtype.name != "bfloat16":
        raise BadData(f"{where} {name} of {array.dtype}, not numbers")
    return datasets.plain(array)


def _unlike(given: Any) -> str:
    with contextlib.suppress(TypeError):
        if len({len(part) for part in given}) > 1:
            return _UNLIKE
    return "what is no array of numbers"


def _of_objects(array: Array, where: str) -> Array:
    """Return what an array of objects holds, as numbers or as text."""
    its = array.ravel().tolist()
    if all(isinstance(one, (str, bytes)) for one in its):
        return array
    if its and all(hasattr(one, "__len__") for one in its):
        if len({np.shape(one) for one in its}) > 1:
            raise BadData(f"{where} an array of objects: {_UNLIKE}")
        return np.stack([np.asarray(one) for one in its])
    try:
        return array.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise BadData(f"{where} an array of objects, not numbers ({error})") from error


def _of_frame(given: Any, where: str) -> Array:
    """Return the values of a data frame or series, in the order of its rows."""
    array: Array = given.to_numpy()
    if array.dtype != object or array.ndim == 1:
        return np.asarray(array)
    odd = {}
    for name in given.columns:
        try:
            np.asarray(given[name].to_numpy()).astype(np.float32)
        except (TypeError, ValueError):
            odd[name] = given[name].dtype
    if odd:
        listed = ", ".join(f"{name} ({dtype})" for name, dtype in odd.items())
        raise BadData(f"{where} columns that are no numbers: {listed}; encode or drop them")
    return array.astype(np.float32)
