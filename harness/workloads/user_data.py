"""Data of a user's, whatever `Model.fit` takes, as arrays in memory (worker's side)."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, ValuesView
from typing import Any

import numpy as np

from harness.errors import BadData
from harness.workloads import datasets, sources
from harness.workloads.datasets import Array, Arrays, Dataset, leaves, samples

_MOST_SAMPLES = datasets.TRAIN_SAMPLES
_MOST_BYTES = 256 * 2**20
_MOST_SECONDS = 20.0
_UNLIKE = "sequences of unlike length; pad them (keras.utils.pad_sequences)"

Part = tuple[Any, Any, Any]  # x, y or None, weights or None


def load(name: str) -> Dataset:
    """Load `file.py:name`: a function is called, data that is ready is taken.

    It is what `Model.fit` takes: `x`, `(x, y)`, `(x, y, sample_weight)` of arrays, frames or
    lists; a tf.data.Dataset, a PyDataset, a Torch DataLoader or a generator of batches; or a pair
    of those, for training and for testing, as in `keras.datasets`. Several inputs or outputs are a
    dict by name, or a list. Of batches at most 60 000 samples, 256 MiB or 20 s are held.

    Raises:
        BadData: it cannot be used; the text says what it is and what to return instead.
    """
    found = sources.find(name)
    given, verb = (found(), "returned") if callable(found) else (found, "is")
    if given is None:
        raise BadData(f"{name} {verb} None, not (x, y)")
    where = f"{name} {verb}"
    train, test = given if _is_pair(given) else (given, None)
    (x, y, weights), epoch = _part(train, where)
    (x_test, y_test, _), _ = _part(test, where) if test is not None else ((None,) * 3, None)
    return datasets.checked(name, x, y, x_test, y_test, weights, epoch)


def _is_pair(given: Any) -> bool:
    """Whether it is data for training and for testing."""
    if not isinstance(given, tuple) or len(given) != 2:
        return False
    return all(isinstance(part, tuple) or _batches(part) is not None for part in given)


def _part(given: Any, where: str) -> tuple[Part, int | None]:
    """Return x, y and weights as arrays, and the samples of an epoch if more than are held."""
    if (found := _batches(given)) is not None:
        return _collected(*found, where)
    if isinstance(given, tuple):
        if not 1 <= len(given) <= 3:
            raise BadData(f"{where} {len(given)} values, not x, (x, y) or (x, y, sample_weight)")
        x, y, weights = (*given, None, None)[:3]
    else:
        x, y, weights = given, None, None
    if _batches(x) is not None:
        raise BadData(f"{where} {type(x).__name__} as x of a tuple; return it alone")
    targets = None if y is None else _arrays(y, f"{where} as y", _target)
    return (
        _arrays(x, f"{where} as x", _array),
        targets,
        None if weights is None else _arrays(weights, f"{where} as sample_weight", _array),
    ), None


def _batches(given: Any) -> tuple[Iterable[Any], int | None] | None:
    """Return the batches of a pipeline and their number, None if unknown; None for other data."""
    if hasattr(given, "element_spec"):  # a tf.data.Dataset
        many = int(given.cardinality())
        return given, many if many >= 0 else None
    if hasattr(given, "batch_sampler") and hasattr(given, "dataset"):  # a Torch DataLoader
        with contextlib.suppress(TypeError):  # of a dataset that has no length
            return given, len(given)
        return given, None
    if hasattr(given, "__getitem__") and hasattr(given, "on_epoch_end"):  # a PyDataset
        with contextlib.suppress(TypeError, AttributeError, NotImplementedError):
            if (many := given.num_batches) is not None:
                return (given[i] for i in range(int(many))), int(many)
        return (given[i] for i in itertools.count()), None
    return (given, None) if isinstance(given, Iterator) and not hasattr(given, "shape") else None


def _collected(batches: Iterable[Any], many: int | None, where: str) -> tuple[Part, int | None]:
    """Hold the first batches of a pipeline, all of them if they are few."""
    end, held = time.monotonic() + _MOST_SECONDS, list[Part]()
    rows = size = 0
    complete = True
    for batch in batches:
        if isinstance(batch, (tuple, list)) and not 1 <= len(batch) <= 3:
            raise BadData(f"{where} batches of {len(batch)} values, not x, (x, y) or (x, y, w)")
        (x, y, weights), _ = _part(tuple(batch) if isinstance(batch, list) else batch, where)
        if any(array.ndim == 0 for array in leaves(x)):
            raise BadData(f"{where} single samples, not batches; batch them, as fit needs it")
        held.append((x, y, weights))
        rows += samples(x)
        size += sum(array.nbytes for array in leaves(x))
        if rows >= _MOST_SAMPLES or size >= _MOST_BYTES or time.monotonic() > end:
            complete = many == len(held)
            break
    if not held:
        raise BadData(f"{where} no batch")
    epoch = None if complete or many is None else rows * many // len(held)
    x, y, weights = (_joined([part[i] for part in held], where) for i in range(3))
    return (x, y, weights), epoch


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
        if 4 * rows * columns > 16 * _MOST_BYTES:
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
