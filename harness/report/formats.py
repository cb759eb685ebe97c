"""Write a `Table` for a terminal or as Markdown."""

import rich.box
import rich.table

from harness.report.table import Table

_GAP = 2


def to_rich(table: Table, width: int) -> rich.table.Table:
    """Build a rich table that fits so many columns of a terminal.

    Where there is no room, columns are left out by their rank and the caption
    says so.
    """
    kept = list(range(len(table.columns)))
    while _width(table, kept) > width and any(table.ranks[i] for i in kept):
        kept.remove(max(kept, key=lambda i: table.ranks[i]))
    left_out = [heading for i, heading in enumerate(table.columns) if i not in kept]
    caption = table.caption
    if left_out:
        caption += f"\nnot shown for want of room: {', '.join(left_out)}"
    shown = rich.table.Table(
        title=table.title,
        caption=caption,
        caption_justify="left",
        title_justify="left",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, _GAP),
    )
    for i in kept:
        shown.add_column(_heading(table, i), justify="right" if table.numeric[i] else "left")
    for row in table.rows:
        shown.add_row(*(row[i] for i in kept))
    return shown


def _heading(table: Table, column: int) -> str:
    """Break a heading that is wider than its cells at its last space."""
    heading = table.columns[column]
    if len(heading) > max((len(row[column]) for row in table.rows), default=0):
        return "\n".join(heading.rsplit(" ", 1))
    return heading


def _width(table: Table, columns: list[int]) -> int:
    cells = [
        max(
            len(line)
            for text in [_heading(table, i), *(row[i] for row in table.rows)]
            for line in text.split("\n")
        )
        for i in columns
    ]
    return sum(cells) + _GAP * (len(cells) - 1)


def to_markdown(table: Table) -> str:
    """Write the table in GitHub's Markdown, with its title and caption."""
    rule = ["---:" if numeric else "---" for numeric in table.numeric]
    lines = [table.columns, rule, *table.rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    caption = "  \n".join(table.caption.splitlines())
    return f"**{table.title}**\n\n{body}\n\n{caption}\n"
