"""Make the pictures of the docs from an example: `python docs/make_pictures.py`.

- docs/images/report.png: the top of its page, with Debian's Chromium; needs the extra `dev`.
- docs/images/block.png: one of its blocks, round by round.
- docs/images/interval.png: one of its comparisons, from turns to blocks to the interval.

Run it after `tox -e examples`.
"""

import math
import shutil
import tempfile
from pathlib import Path

from matplotlib.figure import Figure
from playwright.sync_api import sync_playwright

from harness.analyze import rounds, stats
from harness.analyze.moderation import Speedups
from harness.analyze.verdicts import MARGIN
from harness.records import Measurement, Run, folders
from harness.report import files
from harness.report.names import shortened

DOCS = Path(__file__).resolve().parent
RUN = DOCS.parent / "results" / "examples" / "20261127-072945"
WIDTH, HEIGHT = 900, 1180
REFERENCE, CASE, FAINT = "#9a6700", "#0969da", "#d0d7de"


def draw_block(measured: list[Measurement], path: Path) -> None:
    """Draw the rounds of the first block of a group along the time that they took."""
    workers = {}  # by the place of its start: label, color, rounds
    for m in measured:
        for (role, block), its in rounds.by_worker(m).items():
            group, place = rounds.worker_ids(m)[role, block]
            if group == 0 and place not in workers:
                case, shared = m.side(role), m.side(role) == measured[0].reference
                kind = " (reference)" if shared else ""
                workers[place] = (case.batch_size, f"batch {case.batch_size}{kind}", shared, its)
    rows = sorted(workers.values(), key=lambda worker: (not worker[2], worker[0]))
    order = sorted(
        (r.pair, r.position, row, r.seconds) for row, (*_, its) in enumerate(rows) for r in its
    )
    figure = Figure(figsize=(8, 3), layout="constrained", dpi=120)
    axes, now = figure.subplots(), 0.0
    for _, _, row, seconds in order:
        color = REFERENCE if rows[row][2] else CASE
        axes.barh(row, seconds, left=now, color=color, height=0.7)
        now += seconds
    axes.set(yticks=range(len(rows)), yticklabels=[label for _, label, *_ in rows])
    axes.set(xlabel="seconds of rounds", xlim=(0, now))
    axes.invert_yaxis()
    axes.set_title("One block: fresh workers train in turns, one round each", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def draw_interval(m: Measurement, speedups: Speedups, path: Path) -> None:
    """Draw the ratio of each turn, the mean of each block, and the interval of the speedup."""
    figure = Figure(figsize=(8, 3), layout="constrained", dpi=120)
    axes = figure.subplots()
    logs = stats.logs_by_block(m)
    for block, log in logs.items():
        both = zip(*stats.turn_logs(m, block), strict=True)  # workers of the reference
        turns = [math.exp(sum(logs) / len(logs)) for logs in both]
        first = "one turn" if block == min(logs) else None
        axes.plot(turns, [block] * len(turns), "o", ms=4, color=FAINT, mec="gray", label=first)
        first = "block: mean without the outer fifths" if block == min(logs) else None
        axes.plot(math.exp(log), block, "D", color=CASE, label=first)
    whole = speedups.speedup(m)
    row, label = len(logs), f"speedup, {100 * m.confidence:g} % interval"
    errors = [[whole.value - whole.low], [whole.high - whole.value]]
    axes.errorbar(whole.value, row, xerr=errors, fmt="D", color=REFERENCE, capsize=5, label=label)
    name = f"margin of {100 * MARGIN:g} %"
    axes.axvspan(1 / (1 + MARGIN), 1 + MARGIN, color=FAINT, alpha=0.5, label=name)
    axes.set(yticks=range(row + 1), yticklabels=[*(f"block {b + 1}" for b in logs), "speedup"])
    axes.set(xlabel=f"times as fast as batch {m.reference.batch_size}, per sample")
    axes.invert_yaxis()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    title = f"Batch {m.case.batch_size} against {m.reference.batch_size}: turns, blocks, interval"
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def take_page(run: Run, path: Path) -> None:
    """Write the page of the run to a temporary folder, open it, and take its top."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        files.write(run, Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.2
        )
        page.goto((Path(folder) / "report.html").as_uri())
        page.screenshot(path=path)
        browser.close()


def main() -> None:
    """Make all three."""
    run = shortened(folders.read(RUN))
    measured = [m for m in run.outcomes if isinstance(m, Measurement)]
    others = [m for m in measured if m.case != m.reference]
    draw_block(others, DOCS / "images" / "block.png")
    draw_interval(others[0], Speedups.of(measured), DOCS / "images" / "interval.png")
    take_page(run, DOCS / "images" / "report.png")


if __name__ == "__main__":
    main()
