"""The models of `keras.applications` by name, without their weights: `keras.applications:VGG16`."""

import difflib
import inspect
from typing import Any

from harness.errors import UnknownName

SOURCE = "keras.applications"


def is_one(variant: str) -> bool:
    """Whether a variant is an application."""
    return variant.rpartition(":")[0] == SOURCE


def build(variant: str, input_shape: tuple[int, ...] | None, classes: int | None) -> Any:
    """Build an application with random weights, not compiled (worker's side).

    Args:
        variant: `keras.applications:NAME`.
        input_shape: Of one sample; None for the default.
        classes: Of the output; None for the default, 1000.

    Raises:
        UnknownName: Keras has no such application.
    """
    import keras

    name = variant.rpartition(":")[2]
    function = getattr(keras.applications, name, None)
    if not inspect.isfunction(function):
        known = [n for n in dir(keras.applications) if n[0].isupper()]
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        raise UnknownName(f"Keras has no application {name!r}; {hint}")
    chosen = {} if classes is None else {"classes": classes}
    return function(weights=None, input_shape=input_shape, **chosen)
