"""The messages between the hosts of a job: each is one of a table, with fields of these types."""

from typing import Any

from harness.measure.hosts.about import Host
from harness.records import Case, from_json
from harness.worker.channel import COMMANDS

_Fields = dict[str, type]
_TABLE: dict[str, _Fields] = {
    # from another host to the first
    "join": {"rank": int, "host": dict},
    "started": {"number": int},
    "answer": {"answer": dict},
    "failed": {"kind": str, "message": str, "log_tail": str},
    # from the first host
    "welcome": {},
    "refused": {"why": str},
    "start": {"number": int, "case": dict, "timeout": float},
    "ask": {"number": int, "command": str, "arguments": dict},
    "end": {"number": int},
}
_RECORDS: dict[str, type[Any]] = {"host": Host, "case": Case}


class WrongMessage(Exception):
    """A message that is not in the table; its text says what is wrong."""


def checked(message: dict[str, Any], *allowed: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a message and its fields, records made of plain values.

    Raises:
        WrongMessage: it is none of those that are allowed, or its fields are others.
    """
    fields = dict(message)
    what = fields.pop("what", None)
    if what not in allowed:
        raise WrongMessage(f"{what!r} is none of {', '.join(allowed)}")
    known = _TABLE[what]
    if fields.keys() != known.keys():
        raise WrongMessage(f"{what} has the fields {sorted(fields)}, not {sorted(known)}")
    for name, kind in known.items():
        # A bool is an int to Python, and JSON may write a float without a fraction.
        if type(fields[name]) not in ((int, float) if kind is float else (kind,)):
            raise WrongMessage(f"{name} of {what} is no {kind.__name__}")
    if fields.get("command", COMMANDS[0]) not in COMMANDS:
        raise WrongMessage(f"no command {fields['command']!r}")
    for name, record in _RECORDS.items():
        if name in fields:
            try:
                fields[name] = from_json(record, fields[name])
            except (ValueError, AttributeError) as error:
                raise WrongMessage(f"{name} of {what}: {error}") from error
    return what, fields
