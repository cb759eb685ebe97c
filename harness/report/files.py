"""Write a run's tables, charts and page into its folder."""

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analyze.analysis import Analysis
from harness.errors import BadRun
from harness.records import Run
from harness.report import formats, sentence, settings_code
from harness.report.advice import lines as recommendations
from harness.report.html import page
from harness.report.html.svg import inline
from harness.tables import MORE_CHARTS, TABLES, text
from harness.tables.declare import draw, flat, to_csv
from harness.tables.text import TextTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUBFOLDERS = ("tables", "charts")
_LONGEST_NAME = 120


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """What was written of a run."""

    analysis: Analysis
    sentence: str  # the result
    advice: tuple[str, ...]  # recommendations, one line each
    settings: str  # code to paste; empty where no setting is recommended
    rows: dict[str, list[dict[str, Any]]]  # of each table, by the columns of its CSV file
    tables: dict[str, TextTable]
    paths: tuple[Path, ...]


def write(run: Run, folder: Path) -> Written:
    """Write a run's tables, charts and page into its folder.

    `tables/NAME.csv` and `.md`, `charts/NAME.png` and `.svg`, `charts/gpu_CASE.png` for each case
    on a GPU, `report.html`, and `recommended_settings.py` where settings are recommended.

    Raises:
        BadRun: the folder cannot be written.
    """
    analysis = Analysis(run)
    filled = [table for table in TABLES if analysis.rows(table)]
    tables = {table.name: text.of_run(table, analysis.rows(table), run) for table in filled}
    rows = {t.name: [flat(t, row) for row in analysis.rows(t)] for t in filled}
    said, advice = sentence.sentence(analysis), tuple(recommendations(analysis))
    code = settings_code.code(analysis)
    try:
        figures = enumerate(_figures(analysis))
        drawn = [_save(figure, folder, name, f"c{n}-") for n, (name, figure) in figures]
        charts = [chart for chart, _ in drawn]
        texts = {
            **{f"tables/{t.name}.csv": to_csv(t, rows[t.name]) for t in filled},
            **{f"tables/{name}.md": formats.to_markdown(table) for name, table in tables.items()},
            "environment.txt": "".join(f"{k}: {v}\n" for k, v in page.environment(run).items()),
            "report.html": page.render(analysis, tables, charts, said, advice, code),
        }
        if code:
            texts["recommended_settings.py"] = code
        paths = [path for _, saved in drawn for path in saved]
        for name, content in texts.items():
            paths.append(_place(folder / name))
            # A name may hold half of a surrogate pair, which UTF-8 cannot encode.
            paths[-1].write_text(content, encoding="utf-8", errors="backslashreplace")
        _delete_stale(folder, set(paths))
    except OSError as error:
        raise BadRun(f"cannot write to {folder}: {error.strerror}") from error
    return Written(analysis, said, advice, code, rows, tables, tuple(paths))


def _figures(analysis: Analysis) -> Iterator[tuple[str, "Figure"]]:
    """Draw the chart of each table that has one, then those without a table."""
    caption = text.caption(analysis.run)
    for table in TABLES:
        figure = draw(table, analysis, caption)
        if figure is not None:
            yield table.name, figure
    for charts_of in MORE_CHARTS:
        for name, figure in charts_of(analysis, caption):
            yield _plain(name), figure


def _plain(name: str) -> str:
    """Turn a name into one of a file: a case's id may hold a path or be very long."""
    plain = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("_.")
    if len(plain) <= _LONGEST_NAME:
        return plain
    digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()
    return f"{plain[:_LONGEST_NAME]}_{digest[:8]}"


def _delete_stale(folder: Path, written: set[Path]) -> None:
    """Delete files of tables and charts that the run no longer has; a link is not followed."""
    for kind in _SUBFOLDERS:
        if not (folder / kind).is_symlink():
            for table in TABLES:
                for path in {*(folder / kind).glob(f"{table.name}.*")} - written:
                    path.unlink()


def _save(figure: "Figure", folder: Path, name: str, ids: str) -> tuple[page.Chart, list[Path]]:
    """Write a chart into its files; return it for the page, where its ids have that prefix."""
    from harness.tables import drawing

    png, svg = paths = [_place(folder / "charts" / f"{name}.{kind}") for kind in ("png", "svg")]
    engine = figure.get_layout_engine()
    if engine is not None:  # once for both files: the layout takes longer than drawing
        engine.execute(figure)
        figure.set_layout_engine(None)
    edges = figure.get_tightbbox().padded(0.1)
    # zlib at level 3 takes 70 % of the time of its default 6; the files are no larger.
    figure.savefig(png, bbox_inches=edges, pil_kwargs={"compress_level": 3})
    figure.savefig(svg, bbox_inches=edges)
    title, drawn = drawing.title(figure), svg.read_text(encoding="utf-8")
    element = inline(drawn, ids, title, drawing.CAPTION)
    return page.Chart(name, title, drawing.caption(figure), element), paths


def _place(path: Path) -> Path:
    """Make room for a file; remove a link, which may lead out of the folder."""
    if path.parent.name in _SUBFOLDERS and path.parent.is_symlink():
        path.parent.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return path
