"""Name a comparison by what its sides differ in."""

import dataclasses
from collections.abc import Iterator

from harness.records import Case

_SIDES = {  # how an axis is said of the case, and of what it is compared with
    "variant": ("", "{}"),
    "batch_size": ("", "batch {}"),
    "device": (" on the {}", "the {}"),
    "backend": (" with {}", "{}"),
    "threads": (" on {} threads", "{}"),
}

_USUAL = {"precision": "float32", "jit": False, "optimizer": None}


def comparison(case: Case, reference: Case) -> str:
    """Name a comparison: `improved at batch 1024 against baseline at batch 256`.

    By the ids of its sides where they differ in more than that.
    """
    axes = differing(case, reference)
    if not axes:
        return f"{_model(case)} against itself"
    if axes == {"variant", "batch_size"}:
        return f"{_model(case)} against {_model(reference)}"
    if axes <= {*_USUAL, "levers"} and _is_without(reference, case, axes):
        return f"{_model(case)} with {' + '.join(_moved(case, reference))} against without"
    if len(axes) > 1 or not axes <= set(_SIDES):
        return f"{case.id} against {reference.id}"
    (axis,) = axes
    here, there = _SIDES[axis]
    return f"{_model(case)}{here.format(_value(case, axis))} against " + there.format(
        _value(reference, axis)
    )


def differing(case: Case, reference: Case) -> set[str]:
    """The fields in which two cases differ; whether a step is compiled goes with the backend."""
    names = {field.name for field in dataclasses.fields(Case)}
    axes = {name for name in names if getattr(case, name) != getattr(reference, name)}
    return axes - {"jit"} if "backend" in axes else axes


def _is_without(reference: Case, case: Case, axes: set[str]) -> bool:
    """Whether all that differs is as usual in the reference."""
    usual = all(getattr(reference, name) == value for name, value in _USUAL.items() if name in axes)
    return usual and set(reference.levers) <= set(case.levers)


def _moved(case: Case, reference: Case) -> Iterator[str]:
    """The levers that are set otherwise in the reference."""
    for name in _USUAL:
        value = getattr(case, name)
        if value != getattr(reference, name):
            yield f"{name} {'on' if value is True else value}"
    yield from (lever for lever in case.levers if lever not in reference.levers)


def _model(case: Case) -> str:
    return f"{case.variant} at batch {case.batch_size}"


def _value(case: Case, axis: str) -> str:
    value = str(getattr(case, axis))
    return value.upper() if axis == "device" else value
