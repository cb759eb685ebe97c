"""The page of a run: one HTML file that loads nothing."""

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import jinja2

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.compare.run_diff import machine
from harness.records import Run
from harness.report import glossary, notes
from harness.report.html import svg
from harness.tables.text import TextTable, caption

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("harness.report.html"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["seconds"] = units.seconds
_TALL = 30  # rows beyond which a table scrolls in its own box


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """A drawn figure.

    Attributes:
        name: Name of its table, or a name of its own.
        svg: A whole SVG file.
        caption_id: The id of the caption within the SVG.
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
        tables: By name.
        charts: A chart stands above the table of its name; others have a section of their own.
        sentence: The result of the run.
        advice: Recommendations, one line each.
        settings: Code to paste; empty where no setting is recommended.
    """

    analysis: Analysis
    tables: Mapping[str, TextTable]
    charts: Sequence[Chart]
    sentence: str
    advice: Sequence[str] = ()
    settings: str = ""


def render(shown: Page) -> str:
    """Write the page of a run; its security policy allows only its own script."""
    analysis, run = shown.analysis, shown.analysis.run
    charts = [_inlined(chart, number) for number, chart in enumerate(shown.charts)]
    drawn = {chart.name: chart for chart in charts}
    # Answers first; the seconds behind them last.
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
        environment=environment(run),
        terms=[term for term in glossary.TERMS if term.on_page],
        script_hash=_hash("sort.js"),
        missing=units.MISSING,
        tall=_TALL,
    )


def render_ranking(tables: Mapping[str, TextTable], runs: Sequence[Run]) -> str:
    """Write the page that ranks runs.

    Args:
        tables: One per case, by the id of its section.
        runs: Best first.
    """
    return _TEMPLATES.get_template("ranking.html").render(
        tables=tables, runs=runs, machine=machine, script_hash=_hash("sort.js"), tall=_TALL
    )


def environment(run: Run) -> dict[str, str]:
    """List machine, GPU and versions of libraries, in the order in which they are shown."""
    machine = run.machine
    found = {
        "cpu": machine.cpu,
        "cpus": f"{machine.cpus} ({machine.usable_cpus} usable)",
        "memory_bytes": str(machine.memory_bytes),
        "gpu": str(machine.gpu or machine.gpu_reason),
    }
    if machine.gpu_facts is not None:
        known = dataclasses.asdict(machine.gpu_facts)
        refused = known.pop("refused")
        found |= {f"gpu_{name}": str(value) for name, value in known.items() if name != "name"}
        found |= {f"gpu_refused_{name}": reason for name, reason in refused.items()}
    found |= {"os": machine.os, "python": machine.python, **machine.libraries}
    return found | {"commit": machine.commit or "unknown"}


def _without_table(charts: Sequence[Chart]) -> dict[str, list[Chart]]:
    """Sort the charts without a table: GPU readings, and others."""
    return {
        "readings": [chart for chart in charts if chart.name.startswith("gpu_")],
        "more": [chart for chart in charts if not chart.name.startswith("gpu_")],
    }


def _inlined(chart: Chart, number: int) -> Chart:
    text = svg.inline(chart.svg, f"c{number}-", chart.title, chart.caption_id)
    return dataclasses.replace(chart, svg=text)


def _hash(script: str) -> str:
    """Hash a script, so that the page's security policy allows this one alone."""
    text = _TEMPLATES.get_template(script).render()
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
