"""Untimed steps until the rate is steady: over plain callables, without a framework."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]

_STEADY_SPREAD = 0.10
_SHORT_SECONDS = 0.03
_CAP_STEPS = 10_000
_SLOW = 3.0  # times the later ones: a slow step
_SLOW_SECONDS = 0.02  # longer than the later ones, at least
TOGETHER = 5  # executions on several hosts


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Untimed steps before the first round: their number, whether the last two times agreed."""

    steps: int
    steady: bool
    step_seconds: float  # median of the last three times per step


def warm_up(
    run: Callable[[int], object],
    clock: Clock,
    cap_seconds: float,
    floor_seconds: float = 0.0,
    floor_steps: int = 0,
) -> WarmUp:
    """Run the floor of steps, then until the time per step is steady.

    The cap ends it, but not before the floor of seconds.

    Short steps run in groups that double: on a GPU a single step that is waited for is slower
    than one of many.
    """
    if floor_steps:
        run(floor_steps)
    times: list[float] = []
    total, steps = floor_steps, 1
    begin = clock()
    while True:
        start = clock()
        run(steps)
        now = clock()
        times.append((now - start) / steps)
        total += steps
        if now - begin >= floor_seconds and (
            now - begin >= cap_seconds or is_steady(times) or total >= _CAP_STEPS
        ):
            break
        if now - start < _SHORT_SECONDS:
            steps *= 2
    return WarmUp(total, is_steady(times), statistics.median(times[-3:]))


def warm_up_together(run: Callable[[int], object], clock: Clock) -> WarmUp:
    """Run the same number of executions on every host, whatever their time."""
    times = []
    for _ in range(TOGETHER):
        start = clock()
        run(1)
        times.append(clock() - start)
    return WarmUp(TOGETHER, is_steady(times), statistics.median(times[-3:]))


def slow_steps(times: list[float]) -> int:
    """How many steps at the beginning take three times as long as the last ones, or longer.

    The first step, which is traced, is one of them; 0 if it is the only one.
    """
    later = statistics.median(times[-3:])
    slow = 1
    while slow < len(times) and times[slow] >= max(_SLOW * later, later + _SLOW_SECONDS):
        slow += 1
    return slow if slow > 1 else 0


def is_steady(times: list[float]) -> bool:
    """Whether the last two agree within 10 %."""
    if len(times) < 2:
        return False
    before, now = times[-2:]
    return abs(before - now) <= _STEADY_SPREAD * max(before, now)
