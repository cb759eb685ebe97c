"""A validation as tables, charts and a sentence."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from harness import units
from harness.commands.validate.claims import Check, contains
from harness.commands.validate.judgements import PROTOCOL, Measured, by_way, half_width
from harness.commands.validate.layers import Foretold
from harness.errors import BadRun
from harness.records import Estimate, Machine
from harness.report import formats
from harness.tables.declare import Column, grouped
from harness.tables.text import build

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES = {
    "noise": "A case vs itself",
    "slowdowns": "Known slowdowns",
    "disturbed": "Disturbed by another process",
    "readings": "Readings of known loads",
    "keras": "Harness vs plain Keras",
    "layers": "Copies of a layer: is the step as its row foretells?",
    "arithmetic": "Arithmetic",
}
_CHART_TITLES = {
    "noise": "The same model twice: how wide is an interval, and how often is it wrong?",
    "slowdowns": "Known slowdowns: how often is the truth inside the interval?",
    "disturbed": "Beside a busy process: how often is the truth inside the interval?",
}
_COLUMNS = (
    Column[Check]("tried", lambda check: check.subject, numeric=False),
    Column[Check]("must hold", lambda check: check.claim, numeric=False),
    Column[Check]("found [95 %]", lambda check: check.found, numeric=False),
    Column[Check]("n", lambda check: str(check.n), rank=1),
    Column[Check]("verdict", lambda check: check.verdict, numeric=False),
)


def show(console: Console, part: str, checks: Sequence[Check], machine: Machine) -> None:
    """Print the table of a part, one row per check."""
    table = build(_TITLES.get(part, part), _COLUMNS, checks, caption=caption(machine))
    console.print()
    console.print(formats.to_rich(table, console.width))


def conclude(console: Console, found: Mapping[str, Sequence[Check]], machine: Machine) -> None:
    """Print the machine and all checks in one line."""
    counts = Counter(check.verdict for checks in found.values() for check in checks)
    words = [f"{counts['holds']} of {counts.total() - counts['for comparison']} claims hold"]
    if counts["falls short"]:
        words.append(f"{counts['falls short']} fall short")
    if counts["not shown"]:
        words.append(f"{counts['not shown']} undecided (a higher effort decides more)")
    console.print()
    console.print(caption(machine), markup=False, highlight=False)
    console.print(Text(f"{'; '.join(words)}.", "bold"))


def caption(machine: Machine) -> str:
    """Name the machine and its libraries."""
    known = machine.libraries
    libraries = ", ".join(
        f"{name} {known[name]}" for name in ("tensorflow", "jax", "torch", "keras") if name in known
    )
    return f"{machine.cpu}, {machine.usable_cpus} CPUs; {libraries}, Python {machine.python}"


def draw(folder: Path, name: str, measured: Measured, machine: Machine) -> None:
    """Draw the intervals of a part, a panel per way of judging; the misses stand out.

    Raises:
        BadRun: the folder cannot be written.
    """
    from harness.tables import drawing

    ways = by_way(measured)
    if any(trial.slowdown for trial, _ in measured):
        ways = {PROTOCOL: ways[PROTOCOL]}  # the other methods do not apply to slowed cases
    size = (2.6 + 2.6 * len(ways), 4.4)
    title = _CHART_TITLES[name]
    below = f"±: median half-width of 95 % intervals. Orange: wrong. {caption(machine)}"
    figure, (panels,) = drawing.grid(title, below, columns=len(ways), size=size)
    ends = [end for known in ways.values() for e, _ in known for end in (e.low, e.high) if end]
    for axes, (way, known) in zip(panels, ways.items(), strict=True):
        _panel(axes, way, known)
        if ends:
            axes.set_ylim(min(ends) * 0.995, max(ends) * 1.005)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2f}×")
        axes.set_xticks([])
    panels[0].set_ylabel("speedup, with 95 % interval")
    _save(figure, folder, name)


def draw_layers(folder: Path, found: Sequence[Foretold], machine: Machine) -> None:
    """Draw the foretold and the measured change of each changed layer, a panel per backend.

    Raises:
        BadRun: the folder cannot be written.
    """
    from harness.tables import drawing

    if not found:
        return
    backends = grouped(found, lambda one: one.case.backend)
    size = (drawing.WIDTH, 1.2 + 0.26 * len(found) + 0.5 * len(backends))
    title = "Copies of a layer: the change of the step, foretold and measured"
    figure, panels = drawing.grid(
        title, caption(machine), rows=len(backends), size=size, share="col"
    )
    for (axes,), (backend, its) in zip(panels, backends.items(), strict=True):
        drawing.subtitled(axes, backend)
        names = [f"{one.case.variant}: {one.change}" for one in its]
        drawing.horizontal(axes, names)
        for place, one in enumerate(its):
            measured = one.measured.times(100)
            drawing.interval(axes, measured, place, color=drawing.COLORS[0], fmt="o")
            foretold = 100 * one.predicted.value
            axes.plot(foretold, place, "x", color=drawing.COLORS[1], markersize=7)
        axes.axvline(0.0, color="black", linewidth=0.8)
    panels[-1][0].set_xlabel("change of the step, in percent")
    axes = panels[0][0]
    axes.plot([], [], "x", color=drawing.COLORS[1], label="foretold by the profile")
    axes.plot([], [], "o", color=drawing.COLORS[0], label="measured in pairs, 95 % interval")
    drawing.legend_below(figure)
    _save(figure, folder, "layers")


def _save(figure: "Figure", folder: Path, name: str) -> None:
    """Write a chart.

    Raises:
        BadRun: the folder cannot be written.
    """
    try:
        for ending in ("png", "svg"):
            figure.savefig(folder / f"{name}.{ending}", bbox_inches="tight")
    except OSError as error:
        raise BadRun(f"cannot write to {folder}: {error.strerror}") from error


def _panel(axes: "Axes", way: str, known: Sequence[tuple[Estimate, float]]) -> None:
    from harness.tables import drawing

    ordered = sorted(known, key=lambda one: (one[1], one[0].value))
    missed = 0
    for place, (estimate, truth) in enumerate(ordered):
        if estimate.low is None or estimate.high is None:
            continue
        holds = contains(estimate, truth)
        missed += not holds
        color, marker = (drawing.COLORS[0], "o") if holds else (drawing.COLORS[1], "x")
        bar, size = drawing.arms([estimate]), 2 if holds else 5
        width = 1.0 if holds else 1.6
        axes.errorbar(
            place, estimate.value, bar, fmt=marker, color=color, markersize=size, linewidth=width
        )
    truths = [truth for _, truth in ordered]
    axes.step(range(len(truths)), truths, color="black", linewidth=0.8, where="mid")
    widths = [half_width(estimate) for estimate, _ in known]
    half = f"±{100 * statistics.median(widths):.1f} %" if widths else units.MISSING
    told = f"{way}: {half}\nthe truth is outside in {missed} of {len(known)}"
    axes.set_title(told, fontsize=10, loc="left")
    if not any(math.isfinite(truth) for truth in truths):
        axes.text(0.5, 0.5, "nothing was measured", ha="center", transform=axes.transAxes)
