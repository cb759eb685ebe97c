"""Scopes that lead from an operation of a trace to what made it.

Keras opens a scope named like each layer, but a framework changes a name that occurs twice. Here
each layer has a scope of its own number, and so have loss, metrics and optimizer.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

_MARK = "harness-"
_SCOPE = re.compile(rf"{_MARK}(\d+|loss|metrics|optimizer)")

Tensor = tuple[tuple[int | None, ...], str]  # shape and type
Opened = Callable[[str], AbstractContextManager[Any]]  # a scope of the framework


def row_of(path: str) -> str | None:
    """Return the number of the layer, or the part of the step, in whose scope a path ends."""
    found = _SCOPE.findall(path)
    return found[-1] if found else None


def is_backward(path: str) -> bool:
    """Whether an operation of this path computes gradients, for TensorFlow or JAX."""
    return "gradient_tape/" in path or "transpose(" in path


class Scopes:
    """Opens the scopes in all that is built from now on; a worker that does so does nothing else.

    Attributes:
        layers: In the order of their first calls; their numbers are their places.
        calls: Of each layer by its number, while they are counted.
        inputs: Shape and type of each tensor that the first of these calls took.
        outputs: Likewise of those that the call gave.
    """

    def __init__(self, opened: Opened) -> None:
        self.layers: list[Any] = []
        self.calls: Counter[int] = Counter()
        self.inputs: dict[int, list[Tensor]] = {}
        self.outputs: dict[int, list[Tensor]] = {}
        self._numbers: dict[int, int] = {}  # by the id of a layer
        self._opened = opened
        self._counting = False

    def mark_layers(self) -> None:
        """Open a scope in each call of a layer, metric or optimizer; before the model is built."""
        import keras

        call, scopes = keras.Layer.__call__, self

        @functools.wraps(call)
        def called(layer: Any, *args: Any, **kwargs: Any) -> Any:
            number = scopes._number(layer)
            with scopes._opened(f"{_MARK}{number}"):
                given = call(layer, *args, **kwargs)
            if scopes._counting:
                scopes.calls[number] += 1
                scopes.inputs.setdefault(number, [*_tensors((args, kwargs))])
                scopes.outputs.setdefault(number, [*_tensors(given)])
            return given

        keras.Layer.__call__ = called
        # The mean of the loss, and most metrics; the others are in `compute_metrics`.
        self._mark(keras.metrics.Mean, "update_state", "metrics")
        # Of any optimizer: a step of the user's own may have several.
        self._mark(keras.optimizers.Optimizer, "apply", "optimizer")

    def mark_step(self, model: Any) -> None:
        """Open a scope in loss and metrics of a model; before its step is traced."""
        self._mark(model, "compute_loss", "loss")
        self._mark(model, "compute_metrics", "metrics")

    def count(self, *, on: bool) -> None:
        """Count calls from now on, or no longer."""
        self._counting = on

    def _number(self, layer: Any) -> int:
        if id(layer) not in self._numbers:
            self._numbers[id(layer)] = len(self.layers)
            self.layers.append(layer)
        return self._numbers[id(layer)]

    def _mark(self, owner: Any, name: str, part: str) -> None:
        method = getattr(owner, name)

        @functools.wraps(method)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self._opened(f"{_MARK}{part}"):
                return method(*args, **kwargs)

        setattr(owner, name, called)


def _tensors(given: Any) -> Iterator[Tensor]:
    import keras

    for one in keras.tree.flatten(given):
        if hasattr(one, "shape") and hasattr(one, "dtype"):
            yield tuple(one.shape), keras.backend.standardize_dtype(one.dtype)
