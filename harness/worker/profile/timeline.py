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
        yields: Whether it counts only while nothing else is executed: a copy beside kernels.
    """

    thread: str
    begin: float
    end: float
    operation: str
    row: str | None = None
    backward: bool = False
    yields: bool = False


@dataclass(slots=True)
class Spent:
    """Time of the operations of one kind, and how many there were."""

    seconds: float = 0.0
    count: int = 0


_ANONYMOUS = "(anonymous namespace)::"
_BRACKETS = re.compile(r"<[^<>]*>|\([^()]*\)")
Kind = tuple[str | None, bool, str]  # row, whether backward, operation


def divide(events: Iterable[Event]) -> dict[Kind, Spent]:
    """Return the time of each kind of operation; together, the time in which any was executed.

    Of operations of a thread within each other the innermost counts. Where several threads execute
    at once, each gets an equal share of that time.
    """
    by_thread = defaultdict(list)
    for event in events:
        by_thread[event.thread].append(event)
    threads = [[*inherited(its)] for its in by_thread.values()]
    parts = (part for its in threads for part in _own_time(its))
    return _shared(parts, (event for its in threads for event in its))


def divide_streams(events: Iterable[Event]) -> dict[Kind, Spent]:
    """Likewise of what streams of a GPU execute.

    One kernel of a stream may begin before another ends, and is not within the other.
    """
    counted = [*events]
    return _shared(((event.begin, event.end, event) for event in counted), counted)


def _shared(
    times: Iterable[tuple[float, float, Event]], counted: Iterable[Event]
) -> dict[Kind, Spent]:
    """Share the time of each moment among the events whose time it is, and count the events."""
    parts = [*times]
    found: dict[Kind, Spent] = defaultdict(Spent)
    for event in counted:
        found[event.row, event.backward, event.operation].count += 1
    edges = sorted(
        [(begin, 1, n) for n, (begin, _, _) in enumerate(parts)]
        + [(end, 0, n) for n, (_, end, _) in enumerate(parts)]  # an end comes first
    )
    seconds, before = [0.0] * len(parts), 0.0
    active: tuple[set[int], set[int]] = set(), set()  # those that yield are the second
    for moment, begins, number in edges:
        counting = active[0] or active[1]
        for one in counting:
            seconds[one] += (moment - before) / len(counting)
        its = active[parts[number][2].yields]
        (its.add if begins else its.discard)(number)
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
    """Shorten the name of a kernel: `at::add` for `void at::(anonymous namespace)::add<T>(int)`."""
    plain, before = name.replace(_ANONYMOUS, ""), ""
    while plain != before:  # from the innermost bracket outwards
        plain, before = _BRACKETS.sub("", plain), plain
    return (plain.removesuffix(" const").split() or [name])[-1]


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
