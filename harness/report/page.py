"""The page of a run: one HTML file that needs nothing else."""

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import jinja2

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.compare.run_diff import machine
from harness.analyze.verdicts import MARGIN
from harness.records import Run
from harness.report import environment, notes, svg
from harness.tables.text import TextTable, caption

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("harness.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["seconds"] = units.seconds
_TALL = 30  # rows from which a table scrolls in its own box


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """A figure as it was drawn.

    Attributes:
        name: That of its table, or of its own.
        title: What it shows, in one line.
        caption: What a reader needs beside it.
        svg: A whole SVG file.
        caption_id: The id of the caption within it.
    """

    name: str
    title: str
    caption: str
    svg: str
    caption_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Section:
    """A table with its chart."""

    name: str
    table: TextTable
    chart: Chart | None


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """What the page of a run shows.

    Attributes:
        tables: By name, in the order of the page.
        charts: Those of tables stand above them, others in a section of their own.
        sentence: What the run has shown.
        advice: What to do now, a line each.
        settings: Code to paste; empty where no setting is recommended.
    """

    analysis: Analysis
    tables: Mapping[str, TextTable]
    charts: Sequence[Chart]
    sentence: str
    advice: Sequence[str] = ()
    settings: str = ""


def render(shown: Page) -> str:
    """Write the page of a run.

    The page loads nothing, and its security policy forbids that; the only script is its own.
    """
    analysis, run = shown.analysis, shown.analysis.run
    charts = [_inlined(chart, number) for number, chart in enumerate(shown.charts)]
    drawn = {chart.name: chart for chart in charts}
    # What was asked is answered first; the seconds behind it come last.
    names = sorted(shown.tables, key=lambda name: name == "measurements")
    return _TEMPLATES.get_template("page.html").render(
        run=run,
        sentence=shown.sentence,
        caption=caption(run),
        advice=shown.advice,
        settings=shown.settings,
        sections=[_Section(name, shown.tables[name], drawn.get(name)) for name in names],
        **_without_table([chart for chart in charts if chart.name not in shown.tables]),
        unlisted=list(notes.others(analysis)),
        failures=list(notes.failures(run)),
        cautions=list(notes.cautions(analysis)),
        environment=environment.facts(run),
        margin=f"{100 * MARGIN:g} %",
        script_hash=_hash("sort.js"),
        missing=units.MISSING,
        tall=_TALL,
    )


def render_fleet(tables: Mapping[str, TextTable], runs: Sequence[Run]) -> str:
    """Write the page of runs from many machines; see `render` for what it may load.

    Args:
        tables: One a case, by a name for its place on the page.
        runs: The best one first.
    """
    return _TEMPLATES.get_template("fleet.html").render(
        tables=tables, runs=runs, machine=machine, script_hash=_hash("sort.js"), tall=_TALL
    )


def _without_table(charts: Sequence[Chart]) -> dict[str, list[Chart]]:
    """Charts without a table: readings of a GPU, and the rest."""
    return {
        "readings": [chart for chart in charts if chart.name.startswith("gpu_")],
        "more": [chart for chart in charts if not chart.name.startswith("gpu_")],
    }


def _inlined(chart: Chart, number: int) -> Chart:
    text = svg.inline(chart.svg, f"c{number}-", chart.title, chart.caption_id)
    return dataclasses.replace(chart, svg=text)


def _hash(script: str) -> str:
    """What lets a script run under the page's security policy, and no other."""
    text = _TEMPLATES.get_template(script).render()
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
