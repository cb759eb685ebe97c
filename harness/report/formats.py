"""Write a `Table` for a terminal or as Markdown."""

import rich.box
import rich.table

from harness.report.table import Table


def to_rich(table: Table) -> rich.table.Table:
    """Build a rich table that fits 100 columns."""
    shown = rich.table.Table(
        title=table.title,
        caption=table.caption,
        caption_justify="left",
        title_justify="left",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading, numeric in zip(table.columns, table.numeric, strict=True):
        shown.add_column(heading, justify="right" if numeric else "left")
    for row in table.rows:
        shown.add_row(*row)
    return shown


def to_markdown(table: Table) -> str:
    """Write the table in GitHub's Markdown, with its title and caption."""
    rule = ["---:" if numeric else "---" for numeric in table.numeric]
    lines = [table.columns, rule, *table.rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    caption = "  \n".join(table.caption.splitlines())
    return f"**{table.title}**\n\n{body}\n\n{caption}\n"
