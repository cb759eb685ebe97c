"""Ten lines of Markdown for a pull request: what came out, what differs, how to repeat it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness import units
from harness.errors import BadRun
from harness.report.files import Written
from harness.tables.text import TextTable, caption

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"  # names a file that GitHub shows below a job
_MOST_ROWS = 3
_MOST_LINES = 4
_FIRST = ("version_speedup", "batch_size_speedup", "model_size_speedup", "levers", "measurements")
_ORDER = ("slower", "faster", "small difference", "undecided", "same")


def of_run(written: Written, conclusion: Sequence[str]) -> str:
    """Write the summary of a run and of what follows from it."""
    run = written.analysis.run
    page = next((path for path in written.paths if path.name == "report.html"), None)
    lines = [f"**{written.sentence}**", ""]
    lines += _listed(conclusion)
    if name := next((name for name in _FIRST if name in written.tables), None):
        lines += _table(written.tables[name])
    if run.version is not None:
        changes = [f"{one.name} ({one.what})" for one in run.version.changes[:_MOST_LINES]]
        more = len(run.version.changes) - len(changes)
        changes += [f"{more} more"] if more > 0 else []
        named = ", ".join(changes) or "nothing"
        lines.append(f"Differs from {run.version.name}: {named}.")
    lines.append(f"{caption(run)}.")
    if run.command:
        lines.append(f"Repeat: `{run.command}`")
    if page is not None:
        lines.append(f"Page: `{page}`")
    return "".join(f"{units.printable(line)}\n" for line in lines)


def of_comparison(lines: Iterable[str], table: TextTable) -> str:
    """Write the summary of runs that were compared."""
    return "".join(f"{units.printable(one)}\n" for one in (*_listed([*lines]), *_table(table)))


def _listed(lines: Sequence[str]) -> list[str]:
    shown = [f"- {line.strip()}" for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        shown.append(f"- {len(lines) - _MOST_LINES} more lines in the log")
    return [*shown, ""] if shown else []


def _table(table: TextTable) -> Iterator[str]:
    """Yield the rows that matter most: shown differences first."""
    (verdicts,) = list(table.verdicts.values())[:1] or [()]

    def rank(number: int) -> int:
        verdict = verdicts[number] if number < len(verdicts) else None
        return _ORDER.index(verdict) if verdict in _ORDER else len(_ORDER)

    chosen = sorted(range(len(table.rows)), key=rank)[:_MOST_ROWS]
    kept = [i for i, priority in enumerate(table.ranks) if priority < 3]
    yield _row([table.columns[i] for i in kept])
    yield _row(["---:" if table.numeric[i] else "---" for i in kept])
    for number in sorted(chosen):
        yield _row([table.rows[number][i] for i in kept])
    if len(table.rows) > len(chosen):
        yield ""
        yield f"{len(table.rows) - len(chosen)} more rows on the page."
    yield ""


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def write(text: str, path: Path) -> None:
    """Write a summary, and append it to the step summary of a job of GitHub.

    Raises:
        BadRun: a file cannot be written.
    """
    step = os.environ.get(STEP_SUMMARY)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if step:
            with Path(step).open("a", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise BadRun(f"cannot write {error.filename}: {error.strerror}") from error
