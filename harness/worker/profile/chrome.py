"""Chrome's trace format: read what Torch's profiler writes, and write a trace to look at.

The format: "Trace Event Format", Google, 2016; Perfetto and chrome://tracing open it.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.worker.profile import timeline
from harness.worker.profile.scopes import row_of
from harness.worker.profile.timeline import Event

_ENGINE = "autograd::engine::evaluate_function: "
_SEQUENCE = "Sequence number"  # of a node of the gradient; that of the operation that made it
_OPERATIONS = ("cpu_op", "user_annotation")  # categories
_LAUNCHES = ("cuda_runtime", "cuda_driver")
_ON_GPU = ("kernel", "gpu_memcpy", "gpu_memset")
_COPY, _TO_GPU = "Memcpy", "Memcpy HtoD"

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Launch(Event):
    """A call of CUDA; what it has launched has its correlation."""

    correlation: int = 0


def torch_events(path: Path) -> Iterator[Event]:
    """Yield the operations of a trace of Torch on the CPU.

    An operation of the gradient belongs to the layer whose operation made it: both have the same
    sequence number.
    """
    return _operations(_entries(path))


def torch_gpu_events(path: Path) -> Iterator[Event]:
    """Yield the kernels and copies that Torch had a GPU execute.

    Each is named like the operation that launched it, and belongs to that operation's layer. A copy
    to the GPU that is for no layer brings input.
    """
    entries = _entries(path)
    launched = _launched(entries)
    for one in (one for one in entries if one["cat"] in _ON_GPU):
        begin, end = _times(one)
        name, copies = str(one["name"]), str(one["name"]).startswith(_COPY)
        plain = name.split(" (", maxsplit=1)[0] if copies else timeline.kernel_name(name)
        unknown = Event("", begin, end, plain)
        by = launched.get(one["args"].get("correlation"), unknown)
        row = "input" if by.row is None and name.startswith(_TO_GPU) else by.row
        yield Event(f"stream {one['tid']}", begin, end, by.operation, row, by.backward, copies)


def _entries(path: Path) -> list[Entry]:
    with path.open(encoding="utf-8") as file:
        return [one for one in json.load(file)["traceEvents"] if one.get("ph") == "X"]


def _launched(entries: Sequence[Entry]) -> dict[int, Event]:
    """Map the correlation of each call of CUDA to the innermost operation around that call."""
    by_thread = defaultdict(list)
    for event in _operations(entries):
        by_thread[event.thread].append(event)
    for one in entries:
        if one["cat"] in _LAUNCHES and "correlation" in one["args"]:
            begin, end = _times(one)
            correlation = one["args"]["correlation"]
            launch = _Launch(_thread(one), begin, end, str(one["name"]), correlation=correlation)
            by_thread[launch.thread].append(launch)
    return {
        event.correlation: outer
        for its in by_thread.values()
        for event, outer in timeline.nested(its)
        if isinstance(event, _Launch) and outer is not None
    }


def _operations(entries: Iterable[Entry]) -> Iterator[Event]:
    plain = [*map(_event, (one for one in entries if one["cat"] in _OPERATIONS))]
    made = _made_in(plain)
    for event, sequence, of_gradient in plain:
        if of_gradient:
            row = None if sequence is None else made.get(sequence)
            yield Event(event.thread, event.begin, event.end, event.operation, row, backward=True)
        else:
            yield event


def _thread(one: Entry) -> str:
    return f"thread {one['tid']}"


def _times(one: Entry) -> tuple[float, float]:
    """Begin and end in seconds."""
    begin = float(one["ts"]) / 1e6
    return begin, begin + float(one.get("dur", 0.0)) / 1e6


def _event(one: Entry) -> tuple[Event, int | None, bool]:
    """The event, its sequence number, and whether it is a node of the gradient."""
    name, (begin, end) = str(one["name"]), _times(one)
    of_gradient = name.startswith(_ENGINE)
    operation = name.removeprefix(_ENGINE).removeprefix("aten::")
    row = row_of(name)
    event = Event(_thread(one), begin, end, "Python" if row else operation, row)
    return event, one.get("args", {}).get(_SEQUENCE), of_gradient


def _made_in(found: Iterable[tuple[Event, int | None, bool]]) -> dict[int, str | None]:
    """Map sequence numbers to the row of the operation that made that node.

    Operations before it have its number, too, and so have those that compute the gradient.
    """
    made: dict[int, str | None] = {}
    around: list[tuple[float, str | None, bool]] = []  # end, row, whether of the gradient
    for event, sequence, of_gradient in sorted(found, key=lambda one: timeline.by_begin(one[0])):
        while around and around[-1][0] <= event.begin:
            around.pop()
        _, row, within = around[-1] if around else (0.0, None, False)
        around.append((event.end, event.row or row, of_gradient or within))
        if sequence is not None and not around[-1][2]:
            made[sequence] = around[-1][1]
    return made


def write(path: Path, events: Iterable[Event], names: Mapping[str, str]) -> None:
    """Write a compressed trace; `names` are those of the rows."""
    events = [*events]
    begin = min((event.begin for event in events), default=0.0)
    threads = {name: n for n, name in enumerate(dict.fromkeys(e.thread for e in events), start=1)}
    entries: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": name}}
        for name, number in threads.items()
    ]
    for event in events:
        row = "" if event.row is None else names.get(event.row, event.row)
        entries.append(
            {
                "ph": "X",
                "name": f"{row}: {event.operation}" if row else event.operation,
                "cat": "backward" if event.backward else "forward",
                "pid": 1,
                "tid": threads[event.thread],
                "ts": round(1e6 * (event.begin - begin), 3),
                "dur": round(1e6 * (event.end - event.begin), 3),
            }
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump({"traceEvents": entries, "displayTimeUnit": "ms"}, file)
