"""What is shown while measuring: one live line on a terminal, plain lines elsewhere."""

import io

from fakes import FakeClock
from rich.console import Console

from harness.records import Case, Failure, Round
from harness.report.progress import Progress

SMALL = Case("baseline", "mnist", 256, threads=2)
LARGE = Case("baseline", "mnist", 1024, threads=2)


def a_round(block):
    return Round(block, 0, "case", 0, 4, 1.0, 2.3, cpu_seconds=1.0)


def progress(*, terminal):
    clock = FakeClock()
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    return Progress(console, 2, clock), console, clock


def test_the_live_line_says_what_how_far_how_fast_and_how_long_still():
    """Half of one comparison of two took 30 s: 90 s are left."""
    shown, console, clock = progress(terminal=True)
    shown.on_group([(LARGE, SMALL)], 6)
    clock.sleep(30.0)
    shown.on_round(LARGE, a_round(block=3))
    line = console.file.getvalue().split("\r")[-1]
    assert line.split("  ")[:3] == [
        f"[1/2] {LARGE.id}",
        "block 4/6",
        "baseline batch 1024: 250 ms/step",
    ]
    assert "1 min 30 s left" in line
    assert len(line) == 119


def test_the_live_line_is_redrawn_at_most_once_a_second():
    """A terminal is no place for a thousand lines."""
    shown, console, _ = progress(terminal=True)
    shown.on_group([(LARGE, SMALL)], 6)
    for _ in range(10):
        shown.on_round(LARGE, a_round(block=0))
    assert console.file.getvalue().count("/step") == 1


def test_without_a_terminal_each_comparison_has_plain_lines():
    """For a log: no carriage return."""
    shown, console, clock = progress(terminal=False)
    shown.on_group([(LARGE, SMALL)], 6)
    clock.sleep(30.0)
    shown.on_round(LARGE, a_round(block=3))
    shown.on_outcome(Failure(LARGE, SMALL, "oom", "memory ran out"))
    assert console.file.getvalue().splitlines() == [
        f"[1/2] {LARGE.id} against {SMALL.id}: 6 blocks",
        f"{LARGE.id}: failed (oom)",
    ]


def test_a_group_names_its_comparisons():
    """On lines of their own."""
    shown, console, _ = progress(terminal=False)
    shown.on_group([(SMALL, SMALL), (LARGE, SMALL)], 4)
    assert console.file.getvalue().splitlines() == [
        "[1–2/2] 2 comparisons together: 4 blocks",
        f"    {SMALL.id} against itself",
        f"    {LARGE.id} against {SMALL.id}",
    ]


def test_half_of_a_group_is_half_of_its_comparisons():
    """Two blocks of four of both comparisons took 30 s: 30 s are left."""
    shown, console, clock = progress(terminal=True)
    shown.on_group([(SMALL, SMALL), (LARGE, SMALL)], 4)
    clock.sleep(30.0)
    shown.on_round(LARGE, a_round(block=2))
    assert "30.0 s left" in console.file.getvalue()
