"""What the layers of a model are: path, kind, sizes, arithmetic."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from harness.records import LayerFacts
from harness.worker import arithmetic, work
from harness.worker.profile.scopes import Scopes, Tensor


def facts(model: Any, scopes: Scopes, steps: int, sample: Any) -> list[LayerFacts]:
    """Describe the layers that a model has called, in their order.

    Args:
        model: That has them.
        scopes: What was called.
        steps: In which it was.
        sample: One or more samples of the input of the model.
    """
    paths = {id(layer): path for layer, path in _paths(model, "")}
    macs = _macs(model, scopes, sample)
    found = []
    for number, layer in enumerate(scopes.layers):
        outputs, weights = scopes.outputs.get(number, []), _own_weights(layer)
        found.append(
            LayerFacts(
                path=paths.get(id(layer), layer.name),
                type=type(layer).__name__,
                calls=scopes.calls[number] / steps,
                parameters=sum(math.prod(one.shape) for one in weights),
                parameter_bytes=work.bytes_of(weights),
                trainable=any(one.trainable for one in weights),
                output_shape=outputs[0][0][1:] if len(outputs) == 1 else None,
                macs_per_sample=macs.get(id(layer)),
                input_bytes_per_sample=_bytes(scopes.inputs.get(number, [])),
                activation_bytes_per_sample=0 if _adds_none(layer) else _bytes(outputs),
            )
        )
    return found


def variable_rows(model: Any, scopes: Scopes) -> list[str | None]:
    """Return the number of the layer of each trainable variable of a model."""
    owners = {
        id(one): str(number)
        for number, layer in enumerate(scopes.layers)
        for one in _own_weights(layer)
    }
    return [owners.get(id(one)) for one in model.trainable_variables]


def _macs(model: Any, scopes: Scopes, sample: Any) -> dict[int, int]:
    """Multiply-accumulates of called layers; a layer that is not called is part of the one around.

    A framework may run a whole recurrent layer at once, without its cell.
    """
    called = {id(layer) for layer in scopes.layers}
    around = {id(inner): id(layer) for layer in _all(model) for inner in _children(layer)}
    found: Counter[int] = Counter()
    for layer, number in arithmetic.macs_by_layer(model, sample).items():
        place = layer
        while place not in called and place in around:
            place = around[place]
        found[place] += number
    return found


def _all(layer: Any) -> Iterator[Any]:
    yield layer
    for one in _children(layer):
        yield from _all(one)


def _paths(layer: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Yield the layers within a layer with their names behind those that hold them."""
    for one in _children(layer):
        name = f"{path}/{one.name}" if path else one.name
        yield one, name
        yield from _paths(one, name)


def _children(layer: Any) -> list[Any]:
    found = layer._flatten_layers(include_self=False, recursive=False)  # Keras has no public name
    return [one for one in found if one is not layer]


def _own_weights(layer: Any) -> list[Any]:
    """The weights of a layer that are not those of a layer within."""
    inner = {id(weight) for one in _children(layer) for weight in one.weights}
    return [weight for weight in layer.weights if id(weight) not in inner]


def _adds_none(layer: Any) -> bool:
    """Whether the outputs of a layer are the memory of its input, or of layers within."""
    return work.is_view(layer) or bool(_children(layer))


def _bytes(tensors: Sequence[Tensor]) -> int | None:
    """Memory of tensors for one sample; None where a shape is open."""
    total = 0
    for (_, *shape), dtype in (one for one in tensors if one[0]):
        sizes = [size for size in shape if size is not None]
        if len(sizes) < len(shape):
            return None
        total += math.prod(sizes) * work.itemsize(dtype)
    return total
