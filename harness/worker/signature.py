"""Read inputs, outputs and losses of a Keras model, for data that fits it."""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

from harness.workloads.datasets import leaves, mapped
from harness.workloads.fitting import Form, Input, Output, Shape, Signature

_OPEN_LENGTH = 128  # of a sequence whose length the model leaves open
_OPEN_EDGE = 224  # of an image


def signature(model: Any, input_shape: tuple[int, ...] | None) -> Signature:
    """Read inputs, outputs and losses of a compiled model; the shape is for a single open input."""
    inputs = _inputs(model, input_shape)
    shapes = _output_shapes(model, inputs)
    losses = _losses(model, len(shapes))
    left_out = [getattr(loss, "ignore_class", None) for loss in losses]
    names = _output_names(model)
    names = names if len(names) == len(shapes) else [f"output {i}" for i in range(len(shapes))]
    outputs = tuple(map(Output, names, shapes, map(loss_name, losses), left_out))
    takes, gives = _form(_structure(model, "input")), _form(_structure(model, "output"))
    return Signature(tuple(inputs), outputs, takes, gives, _fixed_batch(model))


def _fixed_batch(model: Any) -> int | None:
    """The batch size that the inputs of a model fix, as those of stateful layers do."""
    structure = _structure(model, "input")
    sizes = [] if structure is None else [tensor.shape[0] for tensor in leaves(structure)]
    return next((int(size) for size in sizes if size is not None), None)


def _structure(model: Any, which: str) -> Any:
    """The structure of the model's inputs or outputs; None if only a call tells."""
    try:
        return getattr(model, which)
    except (AttributeError, ValueError):  # a Sequential model has no node of its own
        tensors = getattr(model, f"{which}s", None)
        return tensors[0] if tensors else None


def _form(structure: Any) -> Form:
    """How tensors are nested, each by its place among all."""
    places = itertools.count()

    def of(part: Any) -> Form:
        if isinstance(part, dict):
            return {str(key): of(value) for key, value in part.items()}
        return tuple(map(of, part)) if isinstance(part, (list, tuple)) else next(places)

    return of(structure)


def _keys(structure: Any, before: str = "") -> list[str]:
    """The keys of the tensors in a dict, those of nested ones joined by a slash."""
    if not isinstance(structure, dict):
        return []
    found = []
    for key, value in structure.items():
        name = f"{before}{key}"
        parts = leaves(value)
        numbered = [name] if len(parts) == 1 else [f"{name}/{i}" for i in range(len(parts))]
        found += _keys(value, f"{name}/") or numbered
    return found


def _output_names(model: Any) -> list[str]:
    return _keys(_structure(model, "output")) or list(getattr(model, "output_names", ()))


def _inputs(model: Any, input_shape: tuple[int, ...] | None) -> list[Input]:
    structure = _structure(model, "input")
    if structure is None:
        return [] if input_shape is None else [Input("input", input_shape, "float32")]
    tensors = leaves(structure)
    names = _keys(structure) or [_name(tensor) for tensor in tensors]
    given = input_shape if len(tensors) == 1 else None
    return [
        Input(name, _closed(tensor.shape[1:], given), str(tensor.dtype), _below(model, tensor))
        for name, tensor in zip(names, tensors, strict=True)
    ]


def _name(tensor: Any) -> str:
    """The user's name, not one that Keras numbered."""
    name = str(tensor.name)
    return "input" if name.startswith("keras_tensor") else name


def _closed(shape: Sequence[int | None], given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Replace open sizes by the given ones, else by usual ones."""
    if given is not None and len(given) == len(shape):
        return tuple(g if size is None else size for size, g in zip(shape, given, strict=True))
    usual = _OPEN_EDGE if len(shape) >= 3 else _OPEN_LENGTH
    return tuple(usual if size is None else size for size in shape)


def _below(model: Any, tensor: Any) -> int | None:
    """The upper bound of an input's whole numbers; None if the input takes any numbers.

    It is the smallest vocabulary of the layers that take the input; without such a layer it is 2
    for integers and 256 for bytes.
    """
    import keras

    sizes = []
    for layer in _consumers(model, tensor):
        for part in layer._flatten_layers():
            if isinstance(part, keras.layers.Embedding):
                sizes.append(int(part.input_dim))
            elif isinstance(part, keras.layers.CategoryEncoding):
                sizes.append(int(part.num_tokens))
    if sizes:
        return min(sizes)
    dtype = str(tensor.dtype)
    if dtype == "uint8":
        return 256
    return 2 if dtype.startswith(("int", "uint", "bool")) else None


def _consumers(model: Any, tensor: Any) -> Iterator[Any]:
    """The layers that take an input directly."""
    for layer in model.layers:
        for node in getattr(layer, "_inbound_nodes", ()):  # Keras has no public name
            if any(taken is tensor for taken in node.input_tensors):
                yield layer
    if not getattr(model, "_operations", None):  # a Sequential model: its first layer
        yield from model.layers[:1]


def _output_shapes(model: Any, inputs: Sequence[Input]) -> Sequence[Shape | None]:
    structure = _structure(model, "output")
    if structure is None:
        return [_called_shape(model, inputs)]
    shapes = [tuple(tensor.shape[1:]) for tensor in leaves(structure)]
    if all(None not in shape for shape in shapes):
        return shapes
    closed = [(1, *i.shape) for i in inputs]
    taken = _structure(model, "input")
    whole = mapped(_form(taken), lambda place: closed[place])
    given = model.compute_output_shape([*whole] if _is_list_of_shapes(whole) else whole)
    return [tuple(shape[1:]) for shape in _shapes_in(given)]


def _is_list_of_shapes(whole: Any) -> bool:
    return isinstance(whole, tuple) and bool(whole) and isinstance(whole[0], tuple)


def _shapes_in(given: Any) -> list[Any]:
    """The shapes in a structure; a shape is a tuple as well."""
    if isinstance(given, dict):
        return [shape for part in given.values() for shape in _shapes_in(part)]
    if isinstance(given, (list, tuple)) and any(isinstance(p, (list, tuple, dict)) for p in given):
        return [shape for part in given for shape in _shapes_in(part)]
    return [given]


def _called_shape(model: Any, inputs: Sequence[Input]) -> Shape | None:
    """The output of a model that only a call tells; None where there are several, or no input."""
    if len(inputs) != 1:
        return None
    try:
        shape = model.compute_output_shape((1, *inputs[0].shape))
    except Exception:  # whatever a user's model raises, it is asked for its data then
        return None
    return tuple(shape[1:]) if all(isinstance(size, int) for size in shape) else None


def _losses(model: Any, outputs: int) -> list[Any]:
    """One loss per output."""
    loss = model.loss
    found = leaves(loss)
    if isinstance(loss, dict):
        by_name = [loss.get(name) for name in _output_names(model)]
        return by_name if any(by_name) else found
    return found if len(found) == outputs else found[:1] * outputs


def loss_name(loss: Any) -> str:
    """The name of Keras's function for a loss, in one spelling; empty for the user's own."""
    import keras

    try:
        loss = keras.losses.get(loss)
    except (TypeError, ValueError):
        return ""
    if loss is None:
        return ""
    function = getattr(loss, "fn", loss)
    name = str(getattr(function, "__name__", type(function).__name__))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
