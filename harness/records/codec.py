"""Convert records to plain values and back."""

import functools
import sys
import types
import typing
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal

from harness.records.comparison import Failure, Measurement

T = typing.TypeVar("T")
_UNION_TAGS: dict[str, type] = {"measurement": Measurement, "failure": Failure}


def to_json(record: Any) -> Any:
    """Turn a record into dicts, lists and plain values."""
    if is_dataclass(record) and not isinstance(record, type):
        data = {f.name: to_json(getattr(record, f.name)) for f in fields(record)}
        for tag, kind in _UNION_TAGS.items():
            if type(record) is kind:
                return {"type": tag, **data}
        return data
    if isinstance(record, (list, tuple)):
        return [to_json(item) for item in record]
    if isinstance(record, dict):
        return {key: to_json(value) for key, value in record.items()}
    return record


def to_columns(kind: type, records: Sequence[Any]) -> dict[str, list[Any]]:
    """Turn records of one kind into columns: a list of plain values per field.

    Columns take half the space of one dict per record and are faster to read.
    """
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


Decoder = Callable[[Any], Any]


@functools.cache
def _decoder(kind: Any) -> Decoder:
    """Return what rebuilds a value of that type; type hints are read once per type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        decoders = [_decoder(option) for option in arguments if option is not type(None)]
        plain = all(decode is _as_it_is for decode in decoders)
        return _as_it_is if plain else _union(decoders[0])
    if origin is tuple:
        return _tuple(arguments[0])
    if origin is dict:
        return _dict(arguments[1])
    if origin is Literal:
        return sys.intern  # one object for many equal strings
    return _record(kind) if is_dataclass(kind) else _as_it_is


def _as_it_is(data: Any) -> Any:
    return data


def _union(decode: Decoder) -> Decoder:
    def union(data: Any) -> Any:
        if isinstance(data, dict) and "type" in data:
            return _decoder(_UNION_TAGS[data["type"]])(data)
        return None if data is None else decode(data)

    return union


def _tuple(kind: Any) -> Decoder:
    decode = _decoder(kind)
    if decode is _as_it_is:
        return tuple
    rows = _rows(kind) if is_dataclass(kind) else None

    def items(data: Any) -> Any:
        return tuple(rows(data) if rows and isinstance(data, dict) else map(decode, data))

    return items


def _dict(kind: Any) -> Decoder:
    decode = _decoder(kind)
    if decode is _as_it_is:
        return _as_it_is
    return lambda data: {key: decode(value) for key, value in data.items()}


def _record(kind: Any) -> Decoder:
    decoders = _decoders(kind)

    def record(data: Any) -> Any:
        return kind(**{name: decoders[name](data[name]) for name in data if name in decoders})

    return record


def _rows(kind: Any) -> Callable[[dict[str, Any]], list[Any]]:
    """Make records from columns; a missing column is filled with the default."""
    decoders = _decoders(kind)
    defaults = {f.name: f.default for f in fields(kind) if f.default is not MISSING}
    # Slots are filled column by column, in half the time of a frozen record's constructor.
    fill = {name: getattr(kind, name).__set__ for name in decoders}

    def rows(data: dict[str, Any]) -> list[Any]:
        count = len(next(iter(data.values()), ()))
        records = [object.__new__(kind) for _ in range(count)]
        absent = {name: [default] * count for name, default in defaults.items()}
        columns = {**absent, **data}
        for name, decode in decoders.items():
            if len(columns[name]) != count:
                raise ValueError(f"{len(columns[name])} values of {name}, not {count}")
            values = columns[name] if decode is _as_it_is else map(decode, columns[name])
            deque(map(fill[name], records, values), maxlen=0)
        return records

    return rows


def _decoders(kind: Any) -> dict[str, Decoder]:
    """Return what rebuilds each field, by name."""
    hints = typing.get_type_hints(kind)
    return {f.name: _decoder(hints[f.name]) for f in fields(kind)}
