"""Multiply-accumulates of a Keras model, counted from its graph of layers and operations.

Keras keeps the graph of a functional model. Of a subclassed model or a user's layer, `call` is
executed on symbolic tensors, which makes such a graph. What calls the framework itself instead of
`keras.ops` cannot be counted.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_BATCH = 2  # of symbolic inputs; some code treats a batch of one in another way
_FREE = (
    "Embedding",
    "BatchNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "Normalization",
    "RMSNormalization",
    "UnitNormalization",
)
_CELLS = ("SimpleRNNCell", "LSTMCell", "GRUCell")


Counted = Iterable[tuple[Any, float]]  # layers with their multiply-accumulates


class Uncounted(Exception):
    """There is no rule for a layer or an operation; the text names it."""


def macs(model: Any, sample: Any) -> tuple[int | None, str]:
    """Multiply-accumulates per sample of a forward pass, without biases, and their source.

    Convolutions, dense and recurrent layers, attention and matrix products count; lookups,
    normalizations, activations and pooling cost nothing. None and the reason if a layer has no
    rule.

    Args:
        model: A built model.
        sample: One or more samples of its input: an array, or a dict or tuple of arrays; for a
            model that is subclassed.
    """
    try:
        return round(_sum(_of_model(model, sample))), "layers"
    except Uncounted as error:
        return None, f"not counted: {error}"
    except Exception as error:  # a layer that is unlike any other must not end a measurement
        return None, f"not counted: {type(error).__name__}: {error}"
    finally:
        model._clear_losses()  # those that layers have added for symbolic tensors


def macs_by_layer(model: Any, sample: Any) -> dict[int, int]:
    """Multiply-accumulates per sample of each layer that has any, by the id of the layer.

    Those of a layer within another are its own. Empty where `macs` counts none. The arguments are
    those of `macs`.
    """
    found: dict[int, float] = {}
    try:
        for its, number in _of_model(model, sample):
            found[id(its)] = found.get(id(its), 0.0) + number
    except Exception:  # `macs` says why
        return {}
    finally:
        model._clear_losses()
    return {its: round(number) for its, number in found.items()}


def _sum(counted: Counted) -> float:
    return sum(number for _, number in counted)


def _of_model(model: Any, sample: Any) -> Counted:
    if (outputs := _outputs(model)) is not None:
        return _of_graph(outputs, model)
    import keras

    def symbolic(array: Any) -> Any:
        dtype = keras.backend.standardize_dtype(array.dtype)
        return keras.KerasTensor((_BATCH, *array.shape[1:]), dtype=dtype)

    return _of_call(model, (keras.tree.map_structure(symbolic, sample),), {})


def _outputs(model: Any) -> Any:
    """The symbolic outputs of a functional model; None of a subclassed one."""
    try:
        return model.outputs
    except (AttributeError, ValueError):
        return None


def _of_graph(outputs: Any, owner: Any) -> Counted:
    """Count what leads to symbolic tensors, per sample; operations are those of their owner."""
    for node in _nodes(outputs):
        yield from _of_node(node, owner)


def _nodes(outputs: Any) -> Iterator[Any]:
    """Each call of a layer or an operation that leads to symbolic tensors."""
    import keras

    waiting, seen = keras.tree.flatten(outputs), set[int]()
    while waiting:
        history = getattr(waiting.pop(), "_keras_history", None)  # Keras has no public name
        if history is None or history.operation is None:
            continue
        node = history.operation._inbound_nodes[history.node_index]
        if id(node) not in seen:
            seen.add(id(node))
            waiting += node.arguments.keras_tensors
            yield node


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a layer or an operation: the shapes of what it takes, and of what it gives."""

    its: Any
    shapes: Sequence[Any]
    given: Any

    @property
    def kernel(self) -> tuple[int, ...]:
        """The shape of the weights that are multiplied."""
        return tuple(self.its.kernel.shape if hasattr(self.its, "kernel") else self.shapes[1])


def _of_node(node: Any, owner: Any) -> Counted:
    import keras

    its, arguments, given = node.operation, node.arguments, node.outputs[0].shape
    if isinstance(its, keras.Layer):
        yield from _of_layer(its, arguments.args, arguments.kwargs, given)
    elif rule := _OPERATIONS.get(type(its).__name__):
        yield owner, rule(_Call(its, _shapes(arguments.args), given)) / _batch(given)


def _shapes(arguments: Any) -> list[Any]:
    import keras

    return [one.shape for one in keras.tree.flatten(arguments) if hasattr(one, "shape")]


def _of_layer(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], given: Any) -> Counted:
    """Count one call of a layer, per sample; `given` is the shape of its output."""
    name, own = type(layer).__name__, not type(layer).__module__.startswith("keras.")
    if not own and (name in _LAYERS or name in _OUTER):
        call = _Call(layer, _shapes((args, kwargs)), given)
        parts = _OUTER[name](call) if name in _OUTER else [(layer, _LAYERS[name](call))]
        yield from ((its, number / _batch(given)) for its, number in parts)
        return
    if not own and (name in _FREE or not (layer.weights or name in _WEIGHTLESS)):
        return
    if (outputs := _outputs(layer)) is not None:  # a model within the model
        yield from _of_graph(outputs, layer)
        return
    try:
        yield from [*_of_call(layer, args, kwargs)]
    except Uncounted:
        if layer.weights:
            raise


def _of_call(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Counted:
    """Execute the `call` of a layer on symbolic tensors, and count what leads to its outputs."""
    import keras

    def fresh(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        return keras.KerasTensor((_BATCH, *value.shape[1:]), dtype=value.dtype)

    args, kwargs = keras.tree.map_structure(fresh, (args, kwargs))
    if "training" in inspect.signature(layer.call).parameters:
        kwargs = {**kwargs, "training": False}
    try:
        outputs = layer.call(*args, **kwargs)
    except Exception as error:  # of a user's code, or of a framework that knows no such tensors
        raise Uncounted(f"no rule for {type(layer).__name__}") from error
    return _of_graph(outputs, layer)


def _batch(shape: Sequence[int | None]) -> int:
    """The samples in a shape; an open batch stands for one."""
    return (shape[0] or 1) if shape else 1


def _size(shape: Sequence[int | None]) -> int:
    """The numbers in a tensor; `Uncounted` where a length but the batch is open."""
    if None in shape[1:]:
        raise Uncounted(f"the shape {tuple(shape)} is open")
    return math.prod(size or 1 for size in shape)


def _dense(call: _Call) -> float:
    return _size(call.given) * int(call.kernel[0])


def _convolution(call: _Call) -> float:
    return _size(call.given) * math.prod(call.kernel[:-1])


def _depthwise(call: _Call) -> float:
    return _size(call.given) * math.prod(call.kernel[:-2])


def _separable(call: _Call) -> float:
    positions = _size(call.given) // int(call.its.filters)
    both = (call.its.depthwise_kernel, call.its.pointwise_kernel)
    return float(positions * sum(math.prod(kernel.shape) for kernel in both))


def _transposed(call: _Call) -> float:
    return _size(call.shapes[0]) * math.prod(call.kernel[:-1])


def _einsum_dense(call: _Call) -> float:
    return _einsum_of(call.its.equation, [call.shapes[0], call.kernel])


def _recurrent(call: _Call) -> Counted:
    taken = call.shapes[0]
    for cell in getattr(call.its.cell, "cells", [call.its.cell]):
        if type(cell).__name__ not in _CELLS:
            raise Uncounted(f"no rule for {type(cell).__name__}")
        kernels = math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape)
        yield cell, _size(taken[:2]) * kernels


def _bidirectional(call: _Call) -> Counted:
    for one in (call.its.forward_layer, call.its.backward_layer):
        yield from _recurrent(_Call(one, call.shapes, call.given))


def _each_time(call: _Call) -> Counted:
    """A layer that is called on every step of a sequence."""
    import keras

    taken, layer = call.shapes[0], call.its.layer
    inner = keras.KerasTensor((_BATCH, *taken[2:]))
    given = layer.compute_output_shape(inner.shape)
    for its, number in _of_layer(layer, (inner,), {}, given):
        yield its, _size(taken[:2]) * number


def _matmul(call: _Call) -> float:
    return _size(call.given) * int(call.shapes[0][-1])


def _contracted(call: _Call) -> float:
    """Outer sizes A and B and a contracted size K: the square root of A·K × B·K × A·B."""
    return math.sqrt(math.prod(map(_size, (*call.shapes[:2], call.given))))


def _einsum(call: _Call) -> float:
    return _einsum_of(call.its.subscripts, call.shapes)


def _einsum_of(equation: str, shapes: Sequence[Any]) -> float:
    """The product of all sizes that an equation names; an ellipsis may stand in any place."""
    sizes: dict[str, int] = {}
    rest, (terms, *_) = 1, equation.split("->")
    for term, shape in zip(terms.split(","), shapes, strict=True):
        head, dots, tail = term.strip().partition("...")
        ends = len(shape) - len(tail)
        if dots:
            rest = max(rest, _size(shape[len(head) : ends]))
        letters = [*zip(head, shape, strict=False), *zip(tail, shape[ends:], strict=False)]
        for place, (letter, size) in enumerate(letters):
            if size is None and place:
                raise Uncounted(f"the shape {tuple(shape)} is open")
            sizes[letter] = max(sizes.get(letter, 1), size or 1)
    return rest * math.prod(sizes.values())


def _attention(call: _Call) -> float:
    """Queries (batch, T, heads, depth), keys (batch, S, …): scores, then their sum of values."""
    query, key, value = call.shapes[:3]
    return int(key[1]) * (_size(query) + _size((*query[:-1], value[-1])))


def _heads(call: _Call) -> Counted:
    """Attention of several heads: four projections, and what `_attention` counts."""
    layer, query = call.its, call.shapes[0]
    value = call.shapes[1] if len(call.shapes) > 1 else query
    if len(query) != 3:
        raise Uncounted(f"no rule for {type(layer).__name__} of {len(query)} axes")
    here, there = _size(query[:2]), _size((1, value[1]))
    _, heads, depth = layer._query_dense.kernel.shape
    last = layer._value_dense.kernel.shape[-1]
    projected = {layer._query_dense: here, layer._output_dense: here}
    projected |= dict.fromkeys((layer._key_dense, layer._value_dense), _batch(value) * there)
    for one, many in projected.items():
        yield one, many * math.prod(one.kernel.shape)
    yield layer, here * there * heads * (depth + last)


def _unknown(call: _Call) -> float:
    raise Uncounted(f"no rule for {type(call.its).__name__}")


_Rule = Callable[[_Call], float]
_WEIGHTLESS = ("Attention", "AdditiveAttention", "Dot")  # layers that multiply all the same
_LAYERS: dict[str, _Rule] = {
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _convolution),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
}
_OUTER: dict[str, Callable[[_Call], Counted]] = {  # layers whose work is that of others
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU", "RNN"), _recurrent),
    "Bidirectional": _bidirectional,
    **dict.fromkeys(("MultiHeadAttention", "GroupedQueryAttention"), _heads),
    "TimeDistributed": _each_time,
}
_OPERATIONS: dict[str, _Rule] = {
    **dict.fromkeys(("Matmul", "Dot"), _matmul),
    **dict.fromkeys(("Tensordot", "Inner", "Outer"), _contracted),
    "Einsum": _einsum,
    "Conv": _convolution,
    "DepthwiseConv": _depthwise,
    "ConvTranspose": _transposed,
    "DotProductAttention": _attention,
    "SeparableConv": _unknown,
}
