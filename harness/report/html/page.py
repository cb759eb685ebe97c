"""The page of a run: one HTML file that loads nothing."""

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jinja2

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.compare.fleet import Fleet
from harness.analyze.history.series import History
from harness.records import Run
from harness.report import glossary, notes
from harness.tables.text import TextTable, caption

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("harness.report.html"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TALL = 30  # rows beyond which a table scrolls in its own box


class Chart(NamedTuple):
    """A drawn figure, named as its table or otherwise; `svg` is an element of the page."""

    name: str
    title: str
    caption: str
    svg: str


def render(
    analysis: Analysis,
    tables: Mapping[str, TextTable],
    charts: Sequence[Chart],
    sentence: str,
    advice: Sequence[str] = (),
    settings: str = "",
) -> str:
    """Write the page of a run; its security policy allows only its own script.

    A chart stands above the table of its name; others have a section of their own.
    """
    run, loose = analysis.run, [chart for chart in charts if chart.name not in tables]
    return _TEMPLATES.get_template("page.html").render(
        run=run,
        sentence=sentence,
        caption=caption(run),
        advice=advice,
        settings=settings,
        # Answers first; the seconds behind them last.
        tables=sorted(tables.items(), key=lambda item: item[0] == "measurements"),
        charts={chart.name: chart for chart in charts},
        readings=[chart for chart in loose if chart.name.startswith("gpu_")],
        more=[chart for chart in loose if not chart.name.startswith("gpu_")],
        unlisted=list(notes.others(analysis)),
        failures=list(notes.failures(run)),
        cautions=list(notes.cautions(analysis)),
        duration=" ".join(notes.duration(run)),
        environment=environment(run),
        terms={name: glossary.TERMS[name] for name in glossary.ON_PAGE},
        script_hash=_hash("sort.js"),
        missing=units.MISSING,
        tall=_TALL,
    )


def render_fleet(tables: Mapping[str, TextTable], runs: TextTable, fleet: Fleet) -> str:
    """Write the page of many runs; each case's table by the id of its section."""
    return _TEMPLATES.get_template("fleet.html").render(
        tables=tables, runs=runs, fleet=fleet, script_hash=_hash("sort.js"), tall=_TALL
    )


def render_history(table: TextTable, charts: Sequence[Chart], history: History) -> str:
    """Write the page of a history: the table of all series, then a chart of each."""
    return _TEMPLATES.get_template("history.html").render(
        table=table, charts=charts, history=history, script_hash=_hash("sort.js"), tall=_TALL
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
        known = {name: value for name, value in known.items() if value is not None}
        found |= {f"gpu_{name}": str(value) for name, value in known.items() if name != "name"}
        found |= {f"gpu_refused_{name}": reason for name, reason in refused.items()}
    if (energy := machine.cpu_energy) is not None:
        found["cpu_energy"] = energy.missing or f"{energy.meter}: {', '.join(energy.counters)}"
        idle = {"package": energy.idle_package_watts, "dram": energy.idle_dram_watts}
        found |= {f"idle_{name}_watts": f"{w:.1f}" for name, w in idle.items() if w is not None}
    found |= {"os": machine.os, "python": machine.python, **machine.libraries}
    return found | {"commit": machine.commit or "unknown"}


def _hash(script: str) -> str:
    """Hash a script, so that the page's security policy allows this one alone."""
    text = _TEMPLATES.get_template(script).render()
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
