"""Make random data that fits a model, or fit a dataset to it, without a framework.

`harness.worker.signature` reads the `Signature` of a Keras model.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import BadData
from harness.workloads import datasets
from harness.workloads.datasets import (
    MOST_BYTES,
    TRAIN_SAMPLES,
    Array,
    Arrays,
    Dataset,
    leaves,
    mapped,
    none_of,
)

_SPARSE = ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy", "circle")
_CATEGORICAL = ("categorical_crossentropy", "categorical_focal_crossentropy")
_ONE_HOT = (*_CATEGORICAL, "categorical_hinge", "kl_divergence")
_BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
_YES_OR_NO = (*_BINARY, "hinge", "squared_hinge", "dice", "tversky")
CLASSIFYING = (*_SPARSE[:2], *_CATEGORICAL)

Shape = tuple[int | None, ...]  # of one sample; None where open
# How arrays are nested in what a model takes or gives: a number is the place of an array, and dicts
# and tuples hold forms.
Form = Any


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a model, by its key if the model takes a dict; the dtype has Keras's name.

    `below` is the upper bound of whole numbers from 0, exclusive; None for any numbers.
    """

    name: str
    shape: Shape
    dtype: str
    below: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a model, and its loss, which decides the form of targets.

    The shape is None if unknown. The loss is Keras's function; empty for the user's own. It may
    leave out targets of one class number.
    """

    name: str
    shape: Shape | None
    loss: str
    left_out: int | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs of a model, none if only a call tells, and one output per loss.

    `takes` and `gives` say how they are nested.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    takes: Form = 0
    gives: Form = 0
    batch_size: int | None = None  # that the inputs fix

    def __str__(self) -> str:
        """One line: `tokens int32 (128) → (2)`."""
        taken = ", ".join(f"{i.name} {i.dtype} {_shape(i.shape)}" for i in self.inputs)
        given = ", ".join(_shape(o.shape) for o in self.outputs if o.shape is not None)
        return f"{taken or 'known when it is called'} → {given or 'known when it is called'}"


def _shape(shape: Shape) -> str:
    return f"({', '.join('open' if size is None else str(size) for size in shape)})"


def other_batch(batch_size: int, fixed: int) -> str:
    """Say that a batch size is not the one that the inputs of a model fix."""
    return (
        f"batch size {batch_size} cannot be trained: the model's inputs fix the batch size {fixed}"
    )


def takes_images(signature: Signature) -> bool:
    """Whether the bundled datasets fit: one 28×28×1 image, ten classes."""
    shapes = [i.shape for i in signature.inputs], [o.shape for o in signature.outputs]
    images = shapes == ([(28, 28, 1)], [(datasets.CLASSES,)])
    return images and signature.outputs[0].loss in CLASSIFYING


def make(signature: Signature, batch_size: int, seed: int = 0) -> Dataset:
    """Make random samples and targets that fit a model: whole numbers, classes, 0 … 1.

    At least two batches, at most 256 MiB; an epoch has as many samples as the bundled datasets.
    `BadData` if the model's input is unknown, or text.
    """
    inputs, outputs = signature.inputs, signature.outputs
    if not inputs:
        raise BadData(
            "the model does not say what it takes: begin it with keras.Input, give --input-shape, "
            "or define data in the same file"
        )
    sample = sum(math.prod(_closed(i.shape)) * _dtype(i).itemsize for i in inputs)
    samples = min(TRAIN_SAMPLES, max(2 * batch_size, MOST_BYTES // max(1, sample)))
    rng = np.random.default_rng(seed)
    x = _nested([_values(rng, samples, i) for i in inputs], signature.takes)
    y = _nested([_targets(rng, samples, o) for o in outputs], signature.gives)
    return Dataset(x, y, none_of(x), none_of(y), TRAIN_SAMPLES)


def _closed(shape: Shape) -> tuple[int, ...]:
    if None in shape:
        raise BadData(f"an input has the open shape {_shape(shape)}: give --input-shape")
    return tuple(size for size in shape if size is not None)


def _values(rng: np.random.Generator, samples: int, wanted: Input) -> Array:
    shape = (samples, *_closed(wanted.shape))
    if wanted.below is not None:
        return rng.integers(0, wanted.below, shape).astype(_dtype(wanted))
    return rng.random(shape, dtype=np.float32).astype(_dtype(wanted), copy=False)


def _dtype(wanted: Input) -> np.dtype[Any]:
    """NumPy has no bfloat16; Keras casts float32 to it."""
    if wanted.dtype == "string":
        raise BadData(f"input {wanted.name} takes text: define data in the file of the model")
    return np.dtype(np.float32 if wanted.dtype == "bfloat16" else wanted.dtype)


def _targets(rng: np.random.Generator, samples: int, output: Output) -> Array:
    if output.shape is None:
        raise BadData("the model does not say what it gives: define data in the same file")
    shape = _closed(output.shape)
    classes = shape[-1] if shape else 1
    if output.loss in _SPARSE:
        most = datasets.CLASSES if output.loss == "circle" else classes
        return rng.integers(0, most, (samples, *shape[:-1])).astype(np.int32)
    if output.loss == "ctc":  # label sequences, shorter than the output; class 0 is the blank
        length = max(1, shape[0] // 4)
        return rng.integers(1, max(2, classes), (samples, length)).astype(np.int32)
    if output.loss in _ONE_HOT and classes > 1:
        return _one_hot(rng.integers(0, classes, (samples, *shape[:-1])), classes)
    if output.loss in _YES_OR_NO:
        return rng.integers(0, 2, (samples, *shape)).astype(np.float32)
    return rng.random((samples, *shape), dtype=np.float32)


def _one_hot(labels: Array, classes: int) -> Array:
    return np.eye(classes, dtype=np.float32)[labels]


def _nested(arrays: Sequence[Array], form: Form) -> Any:
    return mapped(form, lambda place: arrays[place])


def fit(data: Dataset, signature: Signature, name: str) -> Dataset:
    """Convert a dataset to the types and shapes that a model takes.

    The loss decides between class numbers and one-hot rows; gray images get a channel axis; a
    vector with one number per sample becomes a column. `BadData` names the dataset if a shape does
    not fit, or an input or output is missing.
    """
    x_train, x_test = (_inputs(x, signature, name) for x in (data.x_train, data.x_test))
    classes = [_classes(y) for y in leaves(data.y_train)]
    y_train, y_test = (_outputs(y, signature, classes, name) for y in (data.y_train, data.y_test))
    found = dataclasses.replace(
        data, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test
    )
    if data.pipeline is not None and _form(found) != (given := _form(data)):
        unlike = f"its batches of {_words(given)} are converted to {_words(_form(found))}"
        return dataclasses.replace(found, pipeline=None, unlike=unlike)
    return found


def _form(data: Dataset) -> Any:
    """Structure and shapes of a sample; a last axis of 1 makes no difference to Keras."""

    def of(array: Array) -> Shape:
        shape = array.shape[1:]
        return shape[:-1] if shape[-1:] == (1,) else shape

    return mapped(data.x_train, of), mapped(data.y_train, of)


def _words(form: Any) -> str:
    """Write `(784), (10)`."""
    return ", ".join(str(part) for part in form)


def _classes(y: Array) -> int:
    """Number of classes; 0 for what are no class numbers."""
    return int(y.max()) + 1 if y.ndim == 1 and y.dtype.kind in "iu" and len(y) else 0


def _inputs(x: Arrays, signature: Signature, name: str) -> Arrays:
    wanted = signature.inputs
    if not wanted:
        return x if isinstance(x, (dict, tuple)) else with_channel(x)
    given = _in_order(x, signature.takes, wanted, "input", name)
    fitted = [_input(array, i, name) for array, i in zip(given, wanted, strict=True)]
    return _nested(fitted, signature.takes)  # type: ignore[no-any-return]


def _input(array: Array, wanted: Input, name: str) -> Array:
    if len(wanted.shape) == 3:
        array = with_channel(array)
    if array.ndim == 1 and wanted.shape == (1,):
        array = array[:, np.newaxis]
    _check_shape(array, wanted.shape, f"input {wanted.name}", name)
    return array if wanted.dtype == "string" else array.astype(_dtype(wanted), copy=False)


def with_channel(x: Array) -> Array:
    """Gray images (samples, height, width) get a channel axis; other samples stay as they are."""
    return x[..., np.newaxis] if x.ndim == 3 else x


def _outputs(y: Arrays, signature: Signature, classes: Sequence[int], name: str) -> Arrays:
    wanted = signature.outputs
    if not leaves(y):  # the losses of the model need no targets
        return y
    given = _in_order(y, signature.gives, wanted, "output", name)
    known = zip(given, wanted, classes, strict=True)
    fitted = [_target(array, output, many, name) for array, output, many in known]
    return _nested(fitted, signature.gives)  # type: ignore[no-any-return]


def _target(y: Array, output: Output, known_classes: int, name: str) -> Array:
    shape = output.shape
    last = shape[-1] if shape else None
    if output.loss in _SPARSE or output.loss == "ctc":
        if output.loss in _SPARSE and y.ndim > 1 and y.dtype.kind == "f" and y.shape[-1] == last:
            y = y.argmax(axis=-1)
        if output.loss in _SPARSE[:2]:
            _check_labels(y, last, output.left_out, name)
        return y.astype(np.int32, copy=False)
    if y.ndim == 1 and y.dtype.kind in "iu" and last != 1:
        if len(y) and y.min() < 0:
            raise BadData(f"{name}: class numbers start at 0, there is {y.min()}")
        classes = known_classes if last is None else last
        if known_classes > classes:
            given = f"{name} has {known_classes} classes"
            raise BadData(f"the model has output shape {_shape(shape or ())}, {given}")
        y = _one_hot(y, classes)
    elif y.ndim == 1 and last == 1:
        y = y[:, np.newaxis]
    if shape is not None:
        _check_shape(y, shape, "output", name)
    return y.astype(np.float32, copy=False)


def _check_labels(labels: Array, classes: int | None, left_out: int | None, name: str) -> None:
    """Raise `BadData` for the first label that is no class of the model's output."""
    if classes is None or not labels.size or labels.dtype.kind not in "iuf":
        return
    flat = labels.ravel()
    outside = (flat < 0) | (flat >= classes)
    if left_out is not None:
        outside &= flat != left_out
    if (found := np.flatnonzero(outside)).size:
        first, sample = flat[found[0]], found[0] // (labels.size // len(labels))
        raise BadData(
            f"{name}: label {first:g} of sample {sample} is out of range; the model has {classes} "
            f"classes, 0 to {classes - 1}"
        )


def _check_shape(array: Array, wanted: Shape, what: str, name: str) -> None:
    given = array.shape[1:]
    pairs = zip(wanted, given, strict=False)
    if len(wanted) != len(given) or any(size not in (None, other) for size, other in pairs):
        raise BadData(f"the model has {what} shape {_shape(wanted)}, {name} has {_shape(given)}")


def _in_order(
    given: Arrays, form: Form, wanted: Sequence[Input | Output], what: str, dataset: str
) -> list[Array]:
    """The arrays in the order of the model's inputs or outputs: by name, else by place."""
    names = [one.name for one in wanted]
    if isinstance(given, dict) and not isinstance(form, dict):
        form = {name: place for place, name in enumerate(names)}
    found: dict[int, Array] = {}

    def take(part: Any, of: Form) -> None:
        if isinstance(of, dict) and isinstance(part, dict):
            if missing := [key for key in of if key not in part]:
                has = ", ".join(part)
                raise BadData(f"{dataset} lacks {what} {', '.join(missing)}; it has {has}")
            part, of = tuple(part[key] for key in of), (*of.values(),)
        forms = (*of.values(),) if isinstance(of, dict) else of
        forms = forms if isinstance(forms, tuple) else None
        parts = part if isinstance(part, tuple) else (part,)
        if len(parts) != (1 if forms is None else len(forms)) or isinstance(part, dict):
            wants = f"{len(names)} {what}s ({', '.join(names)})"
            raise BadData(f"the model has {wants}, {dataset} has {len(leaves(given))}")
        if forms is None:
            found[of] = parts[0]
            return
        for inner, its in zip(parts, forms, strict=True):
            take(inner, its)

    take(given, form)
    return [found[place] for place in range(len(names))]
