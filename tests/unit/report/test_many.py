"""A run of hundreds of comparisons: what is shown of it, and that nothing is computed twice."""

import csv
import dataclasses
import io
from collections import Counter

import pytest
from fakes import FakeLauncher, runner_of
from rich.console import Console
from samples import dataframes, drawn, text_table

from harness.analyze import cautions
from harness.analyze.analysis import Analysis
from harness.records import Case, Failure
from harness.report import console, files, formats
from harness.tables import declare, device
from harness.tables.declare import MOST_BARS, MOST_LINES
from harness.tables.speedups import BATCH_SIZE_SPEEDUP, MODEL_SIZE_SPEEDUP

MANY = 60
CAPTION = "a machine"


def net(number):
    return Case(f"models.py:net_{number:03}", "mnist", 256)


def written(run):
    """A run without tables, to be shown."""
    return files.Written(Analysis(run), "A sentence.", (), "", {}, {}, ())


def speed(case):
    """The first is as fast as the baseline, each that follows a little faster."""
    return 1e-3 / (1 + int(case.variant[-3:]) / 100 if case.variant[-1].isdigit() else 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Each variant against the baseline, and against its own batch of 1024."""
    runner = runner_of(tmp_path_factory.mktemp("run"), FakeLauncher(speed))
    for number in range(MANY):
        runner.measure(net(number), Case("baseline", "mnist", 256))
        runner.measure(dataclasses.replace(net(number), batch_size=1024), net(number))
    return runner.save()


@pytest.fixture(scope="module")
def frames(run):
    return dataframes(run)


def shown(table, rows):
    """The rows that the chart of a table shows, and what it says of the others."""
    return declare.readable(table.chart, rows)


def test_a_chart_shows_the_largest_effects_and_says_what_it_leaves_out(run):
    """The table has all."""
    rows, left_out = shown(MODEL_SIZE_SPEEDUP, Analysis(run).rows(MODEL_SIZE_SPEEDUP))
    largest = [f"models.py:net_{n:03}" for n in range(MANY - MOST_BARS, MANY)]
    assert largest == [row.case.variant for row in rows]
    assert [
        f"left out: {MANY - MOST_BARS} of {MANY} comparisons; those of the largest effects are "
        "shown, the table has all"
    ] == left_out


def test_a_chart_of_lines_keeps_whole_lines(run):
    """All points of each."""
    rows, (left_out,) = shown(BATCH_SIZE_SPEEDUP, Analysis(run).rows(BATCH_SIZE_SPEEDUP))
    all_rows = Counter(row.case.variant for row in Analysis(run).rows(BATCH_SIZE_SPEEDUP))
    found = Counter(row.case.variant for row in rows)
    assert len(found) == MOST_LINES
    assert all(all_rows[variant] == count for variant, count in found.items())
    assert f"left out: {MANY - MOST_LINES} of {MANY} lines" in left_out


def test_what_a_chart_leaves_out_stands_below_it(run):
    """In its caption."""
    for name in ("measurements", "model_size_speedup", "batch_size_speedup"):
        figure = drawn(run, name)
        assert any("left out: " in text.get_text().replace("\n", " ") for text in figure.texts)


def test_a_law_that_holds_nowhere_has_no_chart(run, frames):
    """The table says why."""
    assert frames["batch_size_law"]["reason"].all()
    assert drawn(run, "batch_size_law") is None


def test_a_chart_that_can_be_read_leaves_nothing_out(run):
    """Nor does it say anything."""
    few = Analysis(run).rows(MODEL_SIZE_SPEEDUP)[:MOST_BARS]
    assert shown(MODEL_SIZE_SPEEDUP, few) == (few, [])


def test_a_table_may_have_no_chart(run):
    """And one whose rows answer nothing draws none."""
    without = dataclasses.replace(MODEL_SIZE_SPEEDUP, chart=None)
    silent = declare.Chart(MODEL_SIZE_SPEEDUP.chart.draw, answers=lambda rows: False)
    analysis = Analysis(run)
    assert declare.draw(without, analysis, "") is None
    assert declare.draw(dataclasses.replace(without, chart=silent), analysis, "") is None
    assert declare.draw(MODEL_SIZE_SPEEDUP, analysis, "") is not None


def test_the_readings_of_the_first_cases_have_charts():
    """A file per case."""
    assert device.timelines_left_out(device.MOST_TIMELINES) == []
    (note,) = device.timelines_left_out(device.MOST_TIMELINES + 3)
    assert f"3 of {device.MOST_TIMELINES + 3} cases" in note


def test_the_console_shows_the_first_rows_and_says_so(frames, run):
    """Markdown and CSV have all."""
    built = text_table(run, "measurements")
    out = Console(width=100, file=io.StringIO())
    out.print(formats.to_rich(built, 100))
    text = out.file.getvalue()
    cells = [line for line in text.splitlines() if line.startswith(" models.py:net_")]
    assert len(cells) == formats.MOST_ROWS - 1  # and the baseline
    assert f"first {formats.MOST_ROWS} of {2 * MANY + 1} rows; see the files for all" in text
    assert formats.to_markdown(built).count("\n| models.py:net_") == 2 * MANY
    csv_rows = list(csv.reader(io.StringIO(frames["measurements"].to_csv(index=False))))
    assert len(csv_rows) == 2 * MANY + 2


def test_the_console_cuts_long_notes(frames, run):
    """A name a comparison would fill the screen."""
    built = text_table(run, "model_size_speedup")
    built = dataclasses.replace(built, notes=("word " * 1000, *["note"] * 20))
    out = Console(width=100, file=io.StringIO())
    out.print(formats.to_rich(built, 100))
    text = out.file.getvalue()
    assert text.count("word") * 5 < 1000
    assert "…" in text
    assert f"{21 - formats.MOST_NOTES} more notes in the files" in text


def test_the_console_counts_the_failures_that_it_does_not_show(run):
    """Those stand in the table of measurements."""
    failed = tuple(
        Failure(net(n), Case("baseline", "mnist", 256), "oom", "memory ran out") for n in range(50)
    )
    out = Console(width=200, file=io.StringIO())
    console.show(out, written(dataclasses.replace(run, outcomes=failed)))
    assert out.file.getvalue().count("Failed: ") == formats.MOST_ROWS
    assert f"{50 - formats.MOST_ROWS} more failures in the files" in out.file.getvalue()


def test_the_doubts_of_a_comparison_are_worked_out_once(run, monkeypatch):
    """For all tables and the console."""
    asked = []
    drifting = cautions._drifting
    monkeypatch.setattr(cautions, "_drifting", lambda m: asked.append(m.key) or drifting(m))
    again = dataclasses.replace(run, outcomes=tuple(map(dataclasses.replace, run.outcomes)))
    dataframes(again)
    console.show(Console(file=io.StringIO()), written(again))
    assert len(asked) == len(set(asked)) == 2 * MANY


def test_the_sides_of_a_run_are_collected_once(run):
    """All tables share them."""
    analysis = Analysis(run)
    assert analysis.cases is analysis.cases
