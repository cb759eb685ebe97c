"""Divide the time of a trace among its operations."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """An operation that a thread, or a stream of a device, executed.

    Attributes:
        thread: Its name; operations of one thread do not overlap unless one is within the other.
        begin: Seconds since some moment.
        end: Likewise.
        operation: What is done: `Conv2DBackpropFilter`.
        row: Number of a layer, or a part of the step; None for that of the operation around it.
        backward: Whether it computes gradients.
    """

    thread: str
    begin: float
    end: float
    operation: str
    row: str | None = None
    backward: bool = False


@dataclass(slots=True)
class Spent:
    """Time of the operations of one kind, and how many there were."""

    seconds: float = 0.0
    count: int = 0


_ANONYMOUS = "(anonymous namespace)::"
Kind = tuple[str | None, bool, str]  # row, whether backward, operation


def divide(events: Iterable[Event]) -> dict[Kind, Spent]:
    """Return the time of each kind of operation; together, the time in which any was executed.

    Of operations within each other the innermost counts. Where several threads execute at once,
    each gets an equal share of that time.
    """
    by_thread = defaultdict(list)
    for event in events:
        by_thread[event.thread].append(event)
    found: dict[Kind, Spent] = defaultdict(Spent)
    parts: list[tuple[float, float, Event]] = []
    for its in by_thread.values():
        known = [*inherited(its)]
        for event in known:
            found[event.row, event.backward, event.operation].count += 1
        parts += _own_time(known)
    edges = sorted(
        [(begin, 1, n) for n, (begin, _, _) in enumerate(parts)]
        + [(end, 0, n) for n, (_, end, _) in enumerate(parts)]  # an end comes first
    )
    seconds, active, before = [0.0] * len(parts), set[int](), 0.0
    for moment, begins, number in edges:
        for one in active:
            seconds[one] += (moment - before) / len(active)
        (active.add if begins else active.discard)(number)
        before = moment
    for (_, _, event), share in zip(parts, seconds, strict=True):
        found[event.row, event.backward, event.operation].seconds += share
    return dict(found)


def inherited(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events of a thread by their begin; one without a row has that around it."""
    return (event for event, _ in nested(events))


def nested(events: Iterable[Event]) -> Iterator[tuple[Event, Event | None]]:
    """Yield `inherited` events, each with the one around it."""
    around: list[Event] = []
    for event in sorted(events, key=by_begin):
        while around and around[-1].end <= event.begin:
            around.pop()
        outer = around[-1] if around else None
        inner = event
        if event.row is None and outer is not None:
            inner = dataclasses.replace(event, row=outer.row, backward=outer.backward)
        around.append(inner)
        yield inner, outer


def by_begin(event: Event) -> tuple[float, float]:
    """Order events by their begin, the outer one first."""
    return event.begin, -event.end


def kernel_name(name: str) -> str:
    """Shorten the name of a kernel: `add` for `void (anonymous namespace)::add<float>(int)`."""
    plain = name.removeprefix("void ").replace(_ANONYMOUS, "")
    return re.split(r"[<(]", plain, maxsplit=1)[0].strip() or name


def _own_time(events: Iterable[Event]) -> Iterator[tuple[float, float, Event]]:
    """Yield the times in which an event of a thread, given by their begin, is the innermost one."""
    stack: list[Event] = []
    cursor = 0.0
    for event in events:
        while stack and stack[-1].end <= event.begin:
            top = stack.pop()
            if top.end > cursor:
                yield cursor, top.end, top
                cursor = top.end
        if stack and event.begin > cursor:
            yield cursor, event.begin, stack[-1]
        cursor = max(cursor, event.begin)
        stack.append(event)
    while stack:
        top = stack.pop()
        if top.end > cursor:
            yield cursor, top.end, top
            cursor = top.end
