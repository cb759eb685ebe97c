"""The live table: what a frame holds, and that it fits the terminal."""

import io

import pytest
from fakes import FakeClock
from rich.console import Console

from harness.analyze.verdicts import Judged
from harness.records import Estimate
from harness.report.live import LiveTable, Row

LINE = "comparisons 1–15 of 40, block 3 of 6, 1 min 30 s left"
ESCAPES = "\x1b[2K", "\x1b[1A", "\x1b[1m", "\x1b[2m", "\x1b[0m", "\x1b[?25l", "\x1b[?25h"


def terminal(width=80, height=24, **changes):
    """Return a table and the console that it is drawn on."""
    given = {"force_terminal": True, "soft_wrap": True, "_environ": {}, **changes}
    console = Console(file=io.StringIO(), width=width, height=height, **given)
    return LiveTable(console, FakeClock()), console


def lines(console):
    """Return all lines that were drawn, without colors and moves of the cursor."""
    text = console.file.getvalue()
    for escape in ESCAPES:
        text = text.replace(escape, "")
    return [line.rstrip() for line in text.splitlines()]


def judged(value=1.27, low=1.22, high=1.33, blocks=3, verdict="faster"):
    """Return a speedup with its interval."""
    return Judged(Estimate(value, low, high, blocks), blocks, verdict, None, False, None)


def row(batch=256, **known):
    return Row(f"baseline at batch {batch}", "batch 64", **known)


def test_what_is_missing_is_a_dash():
    """A comparison that has not begun, one in its first block, and one with too few blocks."""
    table, console = terminal()
    two = judged(low=None, high=None, blocks=2, verdict="undecided")
    rows = [row(64), row(128, step_seconds=0.0123), row(step_seconds=0.0123, judged=two)]
    table.draw(rows, 6, 0, LINE)
    assert lines(console) == [
        "case                   against   ms/step  speedup  blocks",
        "baseline at batch 64   batch 64        –  –           0/6",
        "baseline at batch 128  batch 64    12.30  –           0/6",
        "baseline at batch 256  batch 64    12.30  1.27×       2/6",
        LINE,
    ]


def test_a_speedup_has_its_interval_and_comparisons_of_earlier_groups_are_counted():
    """In one line."""
    table, console = terminal()
    table.draw([row(step_seconds=0.0123, judged=judged())], 6, 12, LINE)
    assert lines(console)[0] == "12 comparisons done"
    assert lines(console)[2].endswith("12.30  1.27× [1.22, 1.33]     3/6")


def test_a_wide_terminal_shows_the_verdicts_of_comparisons_that_have_ended():
    """Before, a verdict could still change."""
    table, console = terminal(width=100)
    known = {"step_seconds": 0.0123, "judged": judged()}
    table.draw([row(**known), row(**known, ended=True)], 6, 1, LINE)
    assert [line.split()[-1] for line in lines(console)[:3]] == ["verdict", "–", "faster"]


@pytest.mark.parametrize("width", [40, 80, 100, 160])
def test_a_frame_is_as_wide_as_the_terminal_at_most(width):
    """Long names lose their begin: names of a group differ at their end."""
    table, console = terminal(width=width)
    long = "keras.applications:EfficientNetV2B0 at batch 256 with steps_per_execution=32"
    rows = [Row(long, long, 12.3456, judged())] * 2
    table.draw(rows, 6, 1, LINE * 3)
    assert max(map(len, lines(console))) <= width
    assert width < 80 or "execution=32  …" in lines(console)[2]


@pytest.mark.parametrize("height", [5, 10, 24])
def test_a_frame_is_as_high_as_the_terminal_at_most(height):
    """Comparisons that have ended make room, then the last are hidden."""
    table, console = terminal(height=height)
    rows = [row(8 * number, ended=number < 5) for number in range(1, 31)]
    table.draw(rows, 6, 16, LINE)
    shown = lines(console)
    room = height - 4
    assert len(shown) == height - 1
    assert shown[0] == f"16 comparisons done; {26 - room} hidden: terminal too low"
    assert shown[2].startswith("baseline at batch 40")


def test_a_name_cannot_control_the_terminal():
    """Names come from users."""
    table, console = terminal()
    table.draw([Row("a\x1b[31m\nb", "[bold]c[/bold]")], 6, 0, LINE)
    assert lines(console)[1].startswith(r"a\x1b[31m\nb  [bold]c[/bold]")


def test_a_table_that_stops_leaves_the_cursor_and_no_hook():
    """What is printed next stands where the table stood; the next table is another."""
    table, console = terminal()
    table.draw([row()], 6, 0, LINE)
    table.stop()
    table.stop()
    erased = "\x1b[?25h\r" + 3 * "\x1b[1A\x1b[2K"
    assert console.file.getvalue().endswith(erased)
    console.print("after")
    assert console.file.getvalue().endswith(erased + "after\n")
    table.draw([row()], 6, 0, LINE)
    assert "\x1b[?25h" not in console.file.getvalue().rpartition("\x1b[?25l")[2]


def test_a_terminal_that_has_gone_does_not_keep_the_run_from_its_report(monkeypatch):
    """An error would take the place of the interrupt that ends the run."""
    table, console = terminal()
    table.draw([row()], 6, 0, LINE)

    def gone(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(console.file, "write", gone)
    table.stop()


@pytest.mark.parametrize("changes", [{"force_terminal": False}, {"_environ": {"TERM": "dumb"}}])
def test_a_table_is_drawn_on_terminals_that_can_move_their_cursor(changes):
    """Elsewhere there are plain lines."""
    assert terminal()[0].possible
    assert not terminal(**changes)[0].possible
