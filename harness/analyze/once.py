"""Compute once for each record what many tables ask for."""

import functools
import weakref
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

Record = TypeVar("Record")
Result = TypeVar("Result")
More = ParamSpec("More")


def once(
    compute: Callable[Concatenate[Record, More], Result],
) -> Callable[Concatenate[Record, More], Result]:
    """Remember what was computed of a record, as long as the record lives.

    Records are told apart by identity: to compare those that hold hundreds of rounds would
    take longer than many a computation. What is returned is shared; leave it as it is.
    """
    known: dict[int, tuple[weakref.ref[Record], dict[Any, Result]]] = {}

    @functools.wraps(compute)
    def remembered(record: Record, /, *more: More.args, **named: More.kwargs) -> Result:
        number = id(record)
        if number not in known:
            known[number] = (weakref.ref(record, lambda _: known.pop(number)), {})
        results = known[number][1]
        key = (more, *named.items())
        if key not in results:
            results[key] = compute(record, *more, **named)
        return results[key]

    return remembered
