"""Write a run's tables, charts and page into its folder."""

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analyze import (
    batch_law,
    bottleneck,
    devices,
    hardest,
    ladder,
    levers,
    outlook,
    scaling,
    search,
    trainings,
    work,
)
from harness.analyze import (
    cases as summary,
)
from harness.errors import BadRun
from harness.records import Run
from harness.report import environment, formats, page, sentence, settings_code
from harness.report.advice import lines as recommendations
from harness.tables import charts, table
from harness.tables.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUBFOLDERS = ("tables", "charts")
_LONGEST_NAME = 120


def frames(run: Run) -> dict[str, pd.DataFrame]:
    """Summarize a run: every table that has a row, in the order in which they are shown."""
    found = {
        "measurements": summary.measurements(run),
        "batch_size_search": search.batch_size_search(run),
    }
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
    found["levers"] = levers.levers(run)
    found["scaling"] = scaling.scaling(run)
    found["scaling_outlook"] = outlook.outlook(run)
    found["bottleneck"] = bottleneck.bottleneck(run)
    if not run.outcomes:
        del found["measurements"]
    found["convergence"] = trainings.convergence(run)
    found["accuracy"] = trainings.accuracies(run)
    found["effective_speedup"] = trainings.effective(run)
    return {name: frame for name, frame in found.items() if len(frame)}


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """A run as it was written.

    Attributes:
        run: What was measured.
        sentence: What it has shown.
        advice: What to do now, a line each.
        frames: Its summaries by name.
        tables: The same as they are shown.
        paths: The files.
    """

    run: Run
    sentence: str
    advice: tuple[str, ...]
    frames: dict[str, pd.DataFrame]
    tables: dict[str, Table]
    paths: tuple[Path, ...]


def write(run: Run, folder: Path) -> Written:
    """Write a run's tables, charts and page into its folder.

    `tables/NAME.csv` and `.md`, `charts/NAME.png` and `.svg`, for a case on a
    GPU a chart of its readings, `charts/gpu_CASE.png`; `report.html` holds
    them all. Of levers also `recommended_settings.py`.

    Args:
        run: What was measured.
        folder: Where to.

    Raises:
        BadRun: the folder cannot be written.
    """
    summaries = frames(run)
    tables = {name: table.build(name, frame, run) for name, frame in summaries.items()}
    said, advice = sentence.sentence(run), tuple(recommendations(run))
    try:
        drawn = [_save(figure, folder, name) for name, figure in _figures(run, summaries)]
        texts = {
            **_texts(summaries, tables),
            "environment.txt": "".join(f"{k}: {v}\n" for k, v in environment.facts(run).items()),
            "report.html": page.render(run, tables, [chart for chart, _ in drawn], said, advice),
        }
        if code := settings_code.code(run):
            texts["recommended_settings.py"] = code
        paths = [path for _, saved in drawn for path in saved]
        for name, text in texts.items():
            paths.append(_place(folder / name))
            # A name from elsewhere may hold half a character, which UTF-8 has no bytes for.
            paths[-1].write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise BadRun(f"cannot write to {folder}: {error.strerror}") from error
    return Written(run, said, advice, summaries, tables, tuple(paths))


def _texts(summaries: Mapping[str, pd.DataFrame], tables: Mapping[str, Table]) -> dict[str, str]:
    """Every table as CSV and as Markdown, by the names of their files."""
    csv = {
        f"tables/{name}.csv": frame.to_csv(index=False, lineterminator="\n")
        for name, frame in summaries.items()
    }
    return csv | {f"tables/{name}.md": formats.to_markdown(built) for name, built in tables.items()}


def _figures(run: Run, summaries: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, "Figure"]]:
    """Draw the chart of each table that has one, then those of a GPU's readings and of images."""
    caption = table.caption(run)
    for name in summaries:
        figure = charts.draw(name, summaries, caption)
        if figure is not None:
            yield name, figure
    timelines, cases = devices.timelines(run, charts.MOST_TIMELINES)
    below = "; ".join((caption, *charts.timelines_left_out(cases)))
    for case, frame in timelines.items():
        yield f"gpu_{_plain(case)}", charts.timeline(case, frame, below)
    hard = hardest.ceiling(run, charts.DIGITS_SHOWN)
    if hard is not None and hard.hardest:
        yield "hardest_digits", charts.hardest_digits(hard, caption)


def _plain(case: str) -> str:
    """Turn a case's id, which may hold a path or be very long, into a file name."""
    name = re.sub(r"[^\w.-]+", "_", case, flags=re.ASCII).strip("_.")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}_{hashlib.sha256(case.encode(errors='replace')).hexdigest()[:8]}"


def _save(figure: "Figure", folder: Path, name: str) -> tuple[page.Chart, list[Path]]:
    paths = [_place(folder / "charts" / f"{name}.{ending}") for ending in ("png", "svg")]
    engine = figure.get_layout_engine()
    if engine is not None:  # once for both files: it takes longer than to draw
        engine.execute(figure)
        figure.set_layout_engine(None)
    edges = figure.get_tightbbox().padded(0.1)
    for path in paths:
        # zlib's level 3 takes some 70 % of the time of its usual 6, and here no more room.
        options: dict[str, Any] = {}
        if path.suffix == ".png":
            options["pil_kwargs"] = {"compress_level": 3}
        figure.savefig(path, bbox_inches=edges, **options)
    text = paths[-1].read_text(encoding="utf-8")
    chart = page.Chart(name, charts.title(figure), charts.caption(figure), text, charts.CAPTION)
    return chart, paths


def _place(path: Path) -> Path:
    """Make room for a file; a link in a run from elsewhere may lead out of its folder."""
    if path.parent.name in _SUBFOLDERS and path.parent.is_symlink():
        path.parent.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return path
