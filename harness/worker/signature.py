"""Read inputs, outputs and losses of a Keras model, for data that fits it."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from harness.workloads.fitting import Input, Output, Signature

_OPEN_LENGTH = 128  # of a sequence whose length the model leaves open
_OPEN_EDGE = 224  # of an image
_WHOLE = ("int", "uint")


def signature(model: Any, input_shape: tuple[int, ...] | None) -> Signature:
    """Read a compiled model's inputs, outputs and losses.

    Args:
        model: Compiled.
        input_shape: Shape of one sample, for a model with one input of open shape.
    """
    import keras

    inputs = _inputs(model, input_shape)
    shapes = _output_shapes(model, inputs)
    losses = [loss_name(loss) for loss in _losses(model, len(shapes))]
    names = _keys(_structure(model, "output")) or list(getattr(model, "output_names", ()))
    names = names if len(names) == len(shapes) else [f"output {i}" for i in range(len(shapes))]
    return Signature(
        inputs=tuple(inputs),
        outputs=tuple(map(Output, names, shapes, losses)),
        takes=_kind(_structure(model, "input"), keras),
        gives=_kind(_structure(model, "output"), keras),
    )


def _structure(model: Any, which: str) -> Any:
    """The structure of the model's inputs or outputs; None if only a call tells."""
    try:
        return getattr(model, which)
    except (AttributeError, ValueError):  # a Sequential model has no node of its own
        tensors = getattr(model, f"{which}s", None)
        return tensors[0] if tensors else None


def _kind(structure: Any, keras: Any) -> Literal["array", "dict", "tuple"]:
    if isinstance(structure, dict):
        return "dict"
    return "tuple" if keras.tree.is_nested(structure) and structure is not None else "array"


def _keys(structure: Any) -> list[str]:
    return [str(key) for key in structure] if isinstance(structure, dict) else []


def _tensors(structure: Any) -> list[Any]:
    """The tensors in the order of the dict or list."""
    if structure is None:
        return []
    if isinstance(structure, dict):
        return list(structure.values())
    return list(structure) if isinstance(structure, (list, tuple)) else [structure]


def _inputs(model: Any, input_shape: tuple[int, ...] | None) -> list[Input]:
    structure = _structure(model, "input")
    tensors = _tensors(structure)
    if not tensors:
        return [] if input_shape is None else [Input("input", input_shape, "float32")]
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

    sizes = [
        size
        for layer in _consumers(model, tensor)
        for part in (layer, *_parts(layer))
        if (size := _vocabulary(part, keras)) is not None
    ]
    if sizes:
        return min(sizes)
    dtype = str(tensor.dtype)
    if dtype == "uint8":
        return 256
    return 2 if dtype.startswith(_WHOLE) or dtype == "bool" else None


def _vocabulary(layer: Any, keras: Any) -> int | None:
    if isinstance(layer, keras.layers.Embedding):
        return int(layer.input_dim)
    if isinstance(layer, keras.layers.CategoryEncoding):
        return int(layer.num_tokens)
    return None


def _consumers(model: Any, tensor: Any) -> Iterator[Any]:
    """The layers that take an input directly."""
    for layer in model.layers:
        for node in getattr(layer, "_inbound_nodes", ()):  # Keras has no public name
            if any(taken is tensor for taken in node.input_tensors):
                yield layer
    if not getattr(model, "_operations", None):  # a Sequential model: its first layer
        yield from model.layers[:1]


def _parts(layer: Any) -> list[Any]:
    return list(layer._flatten_layers(include_self=False))


def _output_shapes(model: Any, inputs: Sequence[Input]) -> list[tuple[int | None, ...] | None]:
    structure = _structure(model, "output")
    tensors = _tensors(structure)
    if not tensors:
        return [None]
    shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
    if all(None not in shape for shape in shapes):
        return list(shapes)
    closed = [(1, *i.shape) for i in inputs]
    taken = _structure(model, "input")
    whole = dict(zip(taken, closed, strict=True)) if isinstance(taken, dict) else closed
    given = model.compute_output_shape(whole if len(closed) > 1 else closed[0])
    found = _tensors(given) if isinstance(structure, (dict, list, tuple)) else [given]
    return [tuple(shape[1:]) for shape in found]


def _losses(model: Any, outputs: int) -> list[Any]:
    """One loss per output."""
    loss = model.loss
    if isinstance(loss, dict):
        names = _keys(_structure(model, "output")) or list(model.output_names)
        by_name = [loss.get(name) for name in names]
        return by_name if any(by_name) else list(loss.values())
    found = losses(loss)
    return found if len(found) == outputs else found[:1] * outputs


def losses(loss: Any) -> list[Any]:
    """The losses that a model was compiled with."""
    if isinstance(loss, dict):
        return list(loss.values())
    return list(loss) if isinstance(loss, (list, tuple)) else [loss]


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
