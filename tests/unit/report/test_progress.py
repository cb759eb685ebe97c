"""What is shown while measuring: a live table on a terminal, plain lines elsewhere."""

import io

import pytest
from fakes import FakeClock, FakeLauncher, runner_of
from rich.console import Console

from harness.analyze.analysis import Analysis
from harness.measure.group import NO_WISH
from harness.records import Case, Failure, Round
from harness.report import progress as module
from harness.report.progress import Progress

SMALL = Case("baseline", "mnist", 256, threads=2)
LARGE = Case("baseline", "mnist", 1024, threads=2)


def a_round(block):
    return Round(block, 0, "case", 0, 4, 1.0, 2.3, cpu_seconds=1.0)


def progress(*, terminal, planned=2, width=120):
    clock = FakeClock()
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, height=24, _environ={})
    return Progress(console, planned, clock), console, clock


def frames(console):
    """Return what was drawn, a list of lines per frame."""
    drawn = console.file.getvalue().split("\x1b[1mcase")[1:]
    return [frame.splitlines()[1:] for frame in drawn]


def measured(folder, shown, launcher=None):
    """Measure both comparisons together, the large batch twice as fast per sample."""
    launcher = launcher or FakeLauncher(lambda case: 2e-5 if case == SMALL else 1e-5)
    runner = runner_of(folder, launcher, 2, observer=shown)
    runner.measure_group({(SMALL, SMALL): NO_WISH, (LARGE, SMALL): NO_WISH})
    return runner


def test_the_first_rounds_of_a_case_tell_its_time_per_step():
    """Before any block is done; half of one comparison of two took 30 s: 90 s are left."""
    shown, console, clock = progress(terminal=True)
    shown.on_group([(LARGE, SMALL)], 6)
    clock.sleep(30.0)
    shown.on_round(LARGE, a_round(block=3))
    first, last = frames(console)
    assert " ".join(first[0].split()) == "baseline at batch 1024 batch 256 – – 0/6 –"
    assert " ".join(last[0].split()) == "baseline at batch 1024 batch 256 250.0 – 0/6 –"
    assert "comparison 1 of 2, block 4 of 6, 1 min 30 s left" in last[1]


def test_the_table_is_drawn_at_most_twice_a_second():
    """A terminal is no place for a thousand frames, and rounds wait for each."""
    shown, console, clock = progress(terminal=True)
    shown.on_group([(LARGE, SMALL)], 6)
    for _ in range(10):
        shown.on_round(LARGE, a_round(block=0))
    assert len(frames(console)) == 1
    clock.sleep(0.5)
    for _ in range(10):
        shown.on_round(LARGE, a_round(block=0))
    assert len(frames(console)) == 2


def test_the_figures_of_a_block_are_those_of_the_final_tables(tmp_path):
    """By the same analysis; a ratio has an interval from three blocks on."""
    shown, console, _ = progress(terminal=True)
    measured(tmp_path, shown)
    speedups = [frame[1].split("batch 256")[1].split()[1:] for frame in frames(console)[:-1]]
    assert speedups == [
        ["–", "0/3", "–"],
        ["2.00×", "1/3", "–"],
        ["2.00×", "2/3", "–"],
        ["2.00×", "[2.00,", "2.00]", "3/3", "–"],
    ]


def test_a_run_is_analyzed_once_per_block(tmp_path, monkeypatch):
    """Not per round, nor per comparison of a group."""
    made = []
    monkeypatch.setattr(module, "Analysis", lambda run: made.append(run) or Analysis(run))
    measured(tmp_path, progress(terminal=True)[0])
    assert len(made) == 3


def test_an_interrupt_removes_the_table(tmp_path):
    """The cursor is shown again, and what is printed next is no part of a table."""
    shown, console, _ = progress(terminal=True)
    launcher = FakeLauncher()
    launcher.interrupt_at_round = 5
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path, shown, launcher)
    assert console.file.getvalue().endswith("\x1b[?25h\r" + 4 * "\x1b[1A\x1b[2K")


def test_a_failure_has_a_line_above_the_table():
    """Its row is gone."""
    shown, console, clock = progress(terminal=True)
    shown.on_group([(SMALL, SMALL), (LARGE, SMALL)], 6)
    shown.on_outcome(Failure(LARGE, SMALL, "oom", "memory ran out"))
    assert f"{LARGE.id}: failed (oom)\n" in console.file.getvalue()
    clock.sleep(1.0)
    shown.on_round(SMALL, a_round(block=0))
    assert len(frames(console)[-1]) == 2
    assert "1 comparison done" in console.file.getvalue()


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


def test_without_a_terminal_an_outcome_has_its_figures(tmp_path):
    """One line per comparison, and none per block."""
    shown, console, _ = progress(terminal=False)
    measured(tmp_path, shown)
    assert console.file.getvalue().splitlines() == [
        "[1–2/2] 2 comparisons together: 3 blocks",
        f"    {SMALL.id} against itself",
        f"    {LARGE.id} against {SMALL.id}",
        f"    {SMALL.id}: 5.12 ms/step, 1.00× [1.00, 1.00] as fast as itself",
        f"    {LARGE.id}: 10.2 ms/step, 2.00× [2.00, 2.00] as fast as {SMALL.id}, faster",
    ]


def test_only_what_an_earlier_session_measured_is_already_measured(tmp_path):
    """A comparison that was measured in a group a moment ago is counted once."""
    runner = measured(tmp_path, progress(terminal=False)[0])
    outcomes = runner.run().outcomes
    runner.close()
    again, console, _ = progress(terminal=False)
    resumed = runner_of(tmp_path, FakeLauncher(), 2, observer=again)
    for outcome in (*outcomes, *outcomes):
        resumed.show_known(outcome)
    assert console.file.getvalue().splitlines() == [
        f"[1/2] {SMALL.id}: already measured",
        f"[2/2] {LARGE.id}: already measured",
    ]


def test_half_of_a_group_is_half_of_its_comparisons():
    """Two blocks of four of both comparisons took 30 s: 30 s are left."""
    shown, console, clock = progress(terminal=True)
    shown.on_group([(SMALL, SMALL), (LARGE, SMALL)], 4)
    clock.sleep(30.0)
    shown.on_round(LARGE, a_round(block=2))
    assert "comparisons 1–2 of 2, block 3 of 4, 30.0 s left" in console.file.getvalue()


def test_the_time_left_falls_while_a_block_is_measured():
    """The pace is that of the blocks that are done."""
    shown, console, clock = progress(terminal=True)
    shown.on_group([(SMALL, SMALL), (LARGE, SMALL)], 4)
    clock.sleep(30.0)
    shown.on_round(LARGE, a_round(block=2))
    clock.sleep(10.0)
    shown.on_round(LARGE, a_round(block=2))
    assert "20.0 s left" in console.file.getvalue()
