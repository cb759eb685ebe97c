"""Write a run's tables and charts into its folder."""

import contextlib
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from harness.analyze import batch_law, convergence, devices, hardest, ladder, summary, work
from harness.errors import BadRun
from harness.records import Run
from harness.report import charts, formats, table
from harness.report.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def frames(run: Run) -> dict[str, pd.DataFrame]:
    """Summarize a run: every table that has a row, in the order in which they are shown."""
    found = {"measurements": summary.measurements(run)}
    for name in summary.COMPARISONS:
        found[name] = summary.comparison(run, name)
        if name == "batch_size_speedup":
            found["batch_size_law"] = batch_law.batch_size_law(run)
        elif name == "model_size_speedup":
            found["work"] = work.work(run)
            found["ladder"] = ladder.ladder(run)
        elif name == "device_speedup":
            found["device_crossover"] = devices.crossovers(run)
            found["device_break_even"] = devices.break_evens(run)
    if not run.outcomes:
        del found["measurements"]
    found["convergence"] = convergence.convergence(run)
    found["accuracy"] = convergence.accuracies(run)
    found["effective_speedup"] = convergence.effective(run)
    return {name: frame for name, frame in found.items() if len(frame)}


def write(run: Run, folder: Path) -> tuple[list[Table], list[Path]]:
    """Write `tables/NAME.csv`, `tables/NAME.md`, `charts/NAME.png` and `.svg`.

    A case on a GPU also has a chart of its readings, `charts/gpu_CASE.png`.

    Returns:
        The tables, for the console, and the paths written.

    Raises:
        BadRun: the folder cannot be written.
    """
    tables, paths = [], []
    try:
        summaries = frames(run)
        for name, frame in summaries.items():
            built = table.build(name, frame, run)
            tables.append(built)
            for ending, text in (
                ("csv", frame.to_csv(index=False, lineterminator="\n")),
                ("md", formats.to_markdown(built)),
            ):
                paths.append(_place(folder / "tables" / f"{name}.{ending}"))
                paths[-1].write_text(text, encoding="utf-8")
            paths += _draw(name, summaries, built.caption, folder)
        timelines, cases = devices.timelines(run, charts.MOST_TIMELINES)
        below = "; ".join((table.caption(run), *charts.timelines_left_out(cases)))
        for case, frame in timelines.items():
            chart = charts.timeline(case, frame, below)
            paths += _save(chart, folder, f"gpu_{_plain(case)}")
        hard = hardest.ceiling(run, charts.DIGITS_SHOWN)
        if hard is not None and hard.hardest:
            chart = charts.hardest_digits(hard, table.caption(run))
            paths += _save(chart, folder, "hardest_digits")
        paths.append(_place(folder / "environment.txt"))
        paths[-1].write_text(_environment(run), encoding="utf-8")
    except OSError as error:
        raise BadRun(f"cannot write to {folder}: {error.strerror}") from error
    return tables, paths


def _draw(
    name: str, summaries: Mapping[str, pd.DataFrame], caption: str, folder: Path
) -> list[Path]:
    """Write the chart of a table, if there is anything to draw."""
    figure = charts.draw(name, summaries, caption)
    return [] if figure is None else _save(figure, folder, name)


def _plain(case: str) -> str:
    """Turn a case's id, which may hold a path, into a file name."""
    return re.sub(r"[^\w.-]+", "_", case).strip("_.")


def _save(figure: "Figure", folder: Path, name: str) -> list[Path]:
    paths = [_place(folder / "charts" / f"{name}.{ending}") for ending in ("png", "svg")]
    engine = figure.get_layout_engine()
    if engine is not None:  # once for both files: it takes longer than to draw
        engine.execute(figure)
        figure.set_layout_engine(None)
    edges = figure.get_tightbbox().padded(0.1)
    for path in paths:
        figure.savefig(path, bbox_inches=edges)
    return paths


def _place(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return path


def _environment(run: Run) -> str:
    machine = run.machine
    gpu = machine.gpu_facts
    lines = [
        f"cpu: {machine.cpu}",
        f"cpus: {machine.cpus} ({machine.usable_cpus} usable)",
        f"memory_bytes: {machine.memory_bytes}",
        f"gpu: {machine.gpu or machine.gpu_reason}",
    ]
    if gpu is not None:
        facts = dataclasses.asdict(gpu)
        refused = facts.pop("refused")
        lines += [f"gpu_{name}: {value}" for name, value in facts.items() if name != "name"]
        lines += [f"gpu_refused_{what}: {why}" for what, why in refused.items()]
    lines += [f"os: {machine.os}", f"python: {machine.python}"]
    lines += [f"{name}: {version}" for name, version in machine.libraries.items()]
    return "\n".join(lines) + "\n"
