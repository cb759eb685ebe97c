"""Write a `TextTable` for a terminal or as Markdown."""

import dataclasses

import rich.box
import rich.table
from rich.console import Console, Group
from rich.text import Text

from harness import units
from harness.tables.text import TextTable

MOST_ROWS = 30  # of a table on a terminal
MOST_NOTES = 12
_LONGEST = 800
_LONGEST_CELL = 200


def to_rich(table: TextTable, width: int, elsewhere: str = "the files") -> Group:
    """Write title, table and notes for a terminal of a width in characters.

    Columns that do not fit are hidden by their rank, rows and notes beyond a number are left
    out; a note says so, and where they are. The caller prints the caption, which all tables of a
    run share.
    """
    rows, notes = table.rows, [shortened(note) for note in table.notes[:MOST_NOTES]]
    table = dataclasses.replace(table, rows=rows[:MOST_ROWS])
    kept = list(range(len(table.columns)))
    while _width(table, kept) > width and any(table.ranks[i] for i in kept):
        kept.remove(max(kept, key=lambda i: table.ranks[i]))
    left_out = [heading for i, heading in enumerate(table.columns) if i not in kept]
    if len(rows) > MOST_ROWS:
        many = units.count(len(rows))
        notes.insert(0, f"first {MOST_ROWS} of {many} rows; see the files for all")
    if len(table.notes) > MOST_NOTES:
        notes.append(f"{units.count(len(table.notes) - MOST_NOTES)} more notes in the files")
    if left_out:
        notes.append(f"Hidden (terminal too narrow, see {elsewhere}): {', '.join(left_out)}")
    title = Text(shortened(table.title), style="bold")
    return Group(title, _draw(table, kept), *(Text(note, "dim") for note in notes))


def say(console: Console, text: str) -> None:
    """Print a text of any origin as it is."""
    console.print(units.printable(text), markup=False, highlight=False)


def shortened(text: str) -> str:
    """Cut a text that is too long for a terminal at a space."""
    if len(text) <= _LONGEST:
        return text
    space = text.rfind(" ", _LONGEST // 2, _LONGEST)
    return f"{text[: _LONGEST if space < 0 else space]} … (see the files)"


def _draw(table: TextTable, kept: list[int]) -> rich.table.Table:
    shown = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, show_edge=False, padding=(0, 1), collapse_padding=True
    )
    for i in kept:
        shown.add_column(
            Text(_heading(table, i)),
            justify="right" if table.numeric[i] else "left",
            no_wrap=table.numeric[i],  # names may break, numbers never
            overflow="fold",
        )
    for row in table.rows:
        shown.add_row(*(Text(_short(row[i])) for i in kept))  # a cell is no markup
    return shown


def _short(cell: str) -> str:
    return cell if len(cell) <= _LONGEST_CELL else f"{cell[:_LONGEST_CELL]}…"


def _heading(table: TextTable, column: int) -> str:
    """Break a heading that is wider than its cells, before a bracket or at its last space."""
    heading = table.columns[column]
    if len(heading) <= max((len(row[column]) for row in table.rows), default=0):
        return heading
    return "\n[".join(heading.split(" [")) if " [" in heading else "\n".join(heading.rsplit(" ", 1))


def _width(table: TextTable, kept: list[int]) -> int:
    """Width in characters if no cell is broken."""
    longest = tuple(_short(max(cells, key=len)) for cells in zip(*table.rows, strict=True))
    shown = _draw(dataclasses.replace(table, rows=(longest,)), kept)
    return Console(width=10_000).measure(shown).maximum


def _cell(text: str) -> str:
    """Escape what would end a cell or begin a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def to_markdown(table: TextTable) -> str:
    """Write title, table, notes, doubts and caption in GitHub's Markdown."""
    rule = ["---:" if numeric else "---" for numeric in table.numeric]
    lines = [table.columns, rule, *(map(_cell, row) for row in table.rows)]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    below = "  \n".join(map(_cell, (*table.notes, *table.doubts, table.caption)))
    return f"**{_cell(table.title)}**\n\n{body}\n\n{below}\n"
