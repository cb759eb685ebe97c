"""Convert records to plain values and back."""

import functools
import sys
import typing
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal

from harness.records.comparison import Failure, Measurement

T = typing.TypeVar("T")
Decoder = Callable[[Any], Any]
_OUTCOMES: dict[str, type] = {"measurement": Measurement, "failure": Failure}  # by their `type`
_TAGS = {kind: tag for tag, kind in _OUTCOMES.items()}


def to_json(record: Any) -> Any:
    """Turn a record into dicts, lists and plain values."""
    if is_dataclass(record):
        data = {f.name: to_json(getattr(record, f.name)) for f in fields(record)}
        tag = _TAGS.get(type(record))
        return {"type": tag, **data} if tag else data
    if isinstance(record, (list, tuple)):
        return [to_json(item) for item in record]
    if isinstance(record, dict):
        return {key: to_json(value) for key, value in record.items()}
    return record


def to_columns(kind: type, records: Sequence[Any]) -> dict[str, list[Any]]:
    """Turn records into columns, a list of plain values per field: smaller, and read faster."""
    return {f.name: [to_json(getattr(record, f.name)) for record in records] for f in fields(kind)}


def from_json(kind: type[T], data: Any) -> T:
    """Rebuild a record from `to_json`.

    A tuple of records may also come as columns, see `to_columns`.

    Raises:
        ValueError: a field is missing or has a wrong type.
    """
    try:
        return typing.cast("T", _decoder(typing.cast("Any", kind))(data))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a {getattr(kind, '__name__', kind)}: {error}") from error


@functools.cache
def _decoder(kind: Any) -> Decoder:
    """Return what rebuilds a value of that type; type hints are read once per type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return sys.intern  # one object for many equal strings
    if is_dataclass(kind):
        return functools.partial(_record, kind)
    inner = [_decoder(argument) for argument in arguments if argument is not type(None)]
    if all(decode is _as_it_is for decode in inner):
        return tuple if origin is tuple else _as_it_is
    if origin is tuple:
        return functools.partial(_items, arguments[0], inner[0])
    if origin is dict:
        return functools.partial(_values, inner[1])
    return functools.partial(_one_of, inner[0])


def _as_it_is(data: Any) -> Any:
    return data


def _one_of(decode: Decoder, data: Any) -> Any:
    """Rebuild a value of a union: an outcome, or what may also be None."""
    if isinstance(data, dict) and "type" in data:
        return _decoder(_OUTCOMES[data["type"]])(data)
    return None if data is None else decode(data)


def _values(decode: Decoder, data: dict[str, Any]) -> dict[str, Any]:
    return {key: decode(value) for key, value in data.items()}


def _items(kind: Any, decode: Decoder, data: Any) -> tuple[Any, ...]:
    if isinstance(data, dict) and is_dataclass(kind):
        return tuple(_rows(kind, data))
    return tuple(map(decode, data))


def _record(kind: Any, data: Any) -> Any:
    decoders = _decoders(kind)
    return kind(**{name: decoders[name](data[name]) for name in data if name in decoders})


def _rows(kind: Any, data: dict[str, Any]) -> list[Any]:
    """Make records from columns; a missing column is filled with the default."""
    count = len(next(iter(data.values()), ()))
    records = [object.__new__(kind) for _ in range(count)]
    absent = {f.name: [f.default] * count for f in fields(kind) if f.default is not MISSING}
    columns = absent | data
    for name, decode in _decoders(kind).items():
        if len(columns[name]) != count:
            raise ValueError(f"{len(columns[name])} values of {name}, not {count}")
        values = columns[name] if decode is _as_it_is else map(decode, columns[name])
        # Slots are filled column by column, in half the time of a frozen record's constructor.
        deque(map(getattr(kind, name).__set__, records, values), maxlen=0)
    return records


@functools.cache
def _decoders(kind: Any) -> dict[str, Decoder]:
    """Return what rebuilds each field, by name."""
    hints = typing.get_type_hints(kind)
    return {f.name: _decoder(hints[f.name]) for f in fields(kind)}
