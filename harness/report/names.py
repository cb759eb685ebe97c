"""Names for people: comparisons by what their sides differ in, files without their folders."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

from harness.analyze.compare import case_matching
from harness.records import Case, Run

_SIDES = {  # what a field adds to the name of the case, and the name of the reference by it
    "variant": ("", "{}"),
    "batch_size": ("", "batch {}"),
    "device": (" on the {}", "the {}"),
    "backend": (" with {}", "{}"),
    "threads": (" on {} threads", "{}"),
    "version": (" ({})", "{}"),
}
_SETTINGS = ("precision", "jit", "optimizer")  # settings that are fields of a case
_USUAL = {f.name: f.default for f in dataclasses.fields(Case) if f.name in _SETTINGS}


def comparison(case: Case, reference: Case) -> str:
    """Name a comparison: `improved at batch 1024 against baseline at batch 256`."""
    return " against ".join(sides(case, reference))


def sides(case: Case, reference: Case) -> tuple[str, str]:
    """Name the case and the reference of a comparison.

    Sides that differ in more than a name can say are named by their ids.
    """
    axes = differing(case, reference)
    if not axes:
        return _model(case), "itself"
    if axes == {"variant", "batch_size"}:
        return _model(case), _model(reference)
    if axes <= {*_SETTINGS, "levers"} and _is_without(reference, case, axes):
        return f"{_model(case)} with {' + '.join(_changed(case, reference))}", "without"
    if len(axes) > 1 or not axes <= set(_SIDES):
        return case.id, reference.id
    (axis,) = axes
    here, there = _SIDES[axis]
    return f"{_model(case)}{_side(here, case, axis)}", _side(there, reference, axis)


def differing(case: Case, reference: Case) -> set[str]:
    """Return the fields in which two cases differ; `jit` goes with the backend."""
    names = {field.name for field in dataclasses.fields(Case)}
    axes = {name for name in names if getattr(case, name) != getattr(reference, name)}
    return axes - {"jit"} if "backend" in axes else axes


def _is_without(reference: Case, case: Case, axes: set[str]) -> bool:
    """Whether the reference has the default of every field that differs."""
    usual = all(getattr(reference, name) == _USUAL[name] for name in axes & {*_SETTINGS})
    return usual and set(reference.levers) <= set(case.levers)


def _changed(case: Case, reference: Case) -> Iterator[str]:
    """Name the settings that the reference does not have."""
    for name in _SETTINGS:
        value = getattr(case, name)
        if value != getattr(reference, name):
            yield f"{name} {'on' if value is True else value}"
    yield from (lever for lever in case.levers if lever not in reference.levers)


def _model(case: Case) -> str:
    return f"{case.variant} at batch {case.batch_size}"


def _side(words: str, case: Case, axis: str) -> str:
    value = str(getattr(case, axis))
    if not value:  # the version that is here
        return ""
    return words.format(value.upper() if axis == "device" else value)


R = TypeVar("R")
_OF_A_RUN = {"outcomes", "trainings", "ladders", "searches", "tunings", "profiles"}
_HOLD_CASES = {*_OF_A_RUN, "recipe", "rungs", "attempts", "case", "reference", "plain", "stacked"}


def shortened(run: Run) -> Run:
    """Return the run with `my_model.py:build` for `work/models/my_model.py:build`.

    A name that two files share stays whole; so do all names in `run.json` and the journal.
    """
    names: set[str] = set()

    def noted(case: Case) -> Case:
        names.update((case.variant, case.dataset))
        return case

    def named(case: Case) -> Case:
        variant, dataset = short[case.variant], short[case.dataset]
        return dataclasses.replace(case, variant=variant, dataset=dataset)

    _with_cases(run, noted)
    short = _short(names)
    if all(long == kept for long, kept in short.items()):
        return run
    return _with_cases(run, named)


def _with_cases(record: R, change: Callable[[Case], Case]) -> R:
    """Return a record with each of its cases changed."""
    found: Any = record
    if isinstance(found, Case):
        found = change(found)
    elif isinstance(found, tuple):
        found = tuple(_with_cases(one, change) for one in found)
    elif found is not None:
        names = [f.name for f in dataclasses.fields(found) if f.name in _HOLD_CASES]
        changed = {name: _with_cases(getattr(found, name), change) for name in names}
        found = dataclasses.replace(found, **changed)
    return cast("R", found)


def _short(names: Iterable[str]) -> dict[str, str]:
    last = {name: case_matching.short(name) for name in names}
    many = Counter(last.values())
    return {name: name if many[short] > 1 else short for name, short in last.items()}
