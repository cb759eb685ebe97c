"""Write a run's tables and charts into its folder."""

import contextlib
from pathlib import Path

import pandas as pd

from harness.analyze import summary
from harness.errors import BadRun
from harness.records import Run
from harness.report import charts, formats, table
from harness.report.table import Table


def frames(run: Run) -> dict[str, pd.DataFrame]:
    """Summarize a run: every table that has a row."""
    found = {"measurements": summary.measurements(run)}
    for name in summary.COMPARISONS:
        frame = summary.comparison(run, name)
        if len(frame):
            found[name] = frame
    return found


def write(run: Run, folder: Path) -> tuple[list[Table], list[Path]]:
    """Write `tables/NAME.csv`, `tables/NAME.md`, `charts/NAME.png` and `.svg`.

    Returns:
        The tables, for the console, and the paths written.

    Raises:
        BadRun: the folder cannot be written.
    """
    tables, paths = [], []
    try:
        for name, frame in frames(run).items():
            built = table.build(name, frame, run)
            tables.append(built)
            for ending, text in (
                ("csv", frame.to_csv(index=False, lineterminator="\n")),
                ("md", formats.to_markdown(built)),
            ):
                paths.append(_place(folder / "tables" / f"{name}.{ending}"))
                paths[-1].write_text(text, encoding="utf-8")
            paths += _draw(name, frame, built.caption, folder)
        paths.append(_place(folder / "environment.txt"))
        paths[-1].write_text(_environment(run), encoding="utf-8")
    except OSError as error:
        raise BadRun(f"cannot write to {folder}: {error.strerror}") from error
    return tables, paths


def _draw(name: str, frame: pd.DataFrame, caption: str, folder: Path) -> list[Path]:
    """Write the chart of a table, if there is anything to draw."""
    if name == "measurements" and not (frame["status"] == "measured").any():
        return []
    if name == "model_size_speedup" and (frame["variant"] == frame["reference"]).all():
        return []
    figure = charts.draw(name, frame, caption)
    paths = [_place(folder / "charts" / f"{name}.{ending}") for ending in ("png", "svg")]
    for path in paths:
        figure.savefig(path, bbox_inches="tight")
    return paths


def _place(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return path


def _environment(run: Run) -> str:
    machine = run.machine
    lines = [
        f"cpu: {machine.cpu}",
        f"cpus: {machine.cpus} ({machine.usable_cpus} usable)",
        f"memory_bytes: {machine.memory_bytes}",
        f"gpu: {machine.gpu or machine.gpu_reason}",
        f"os: {machine.os}",
        f"python: {machine.python}",
        *(f"{name}: {version}" for name, version in machine.libraries.items()),
    ]
    return "\n".join(lines) + "\n"
