"""What commands print: tables and JSON on standard output, progress on standard error."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.units import printable

if TYPE_CHECKING:
    from harness.report.files import Written

# What a parser's `add_subparsers` returns; argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
INTERRUPTED = 130
RUN = "run id, a unique beginning of it, its folder, or latest"


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a run to a command."""
    parser.add_argument("run", nargs="?", default="latest", help=f"{RUN} (default: latest)")


def console() -> Console:
    """Standard output, without colors where it is no terminal and under NO_COLOR."""
    return Console(highlight=False, emoji=False)  # `my.py:seven:` is a name


def progress() -> Console:
    """Standard error."""
    return Console(stderr=True, soft_wrap=True, emoji=False)


def print_json(data: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(data, indent=1, allow_nan=False))


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What follows from a run: lines, the same in the JSON document, and whether it fails."""

    lines: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False


def show(written: "Written", *, as_json: bool, conclusion: Conclusion = Conclusion()) -> None:
    """Print the summary of a run, and what follows from it."""
    from harness.report import console as summary
    from harness.report import formats

    if as_json:
        print_json({**summary.document(written), **conclusion.document})
    else:
        summary.show(console(), written)
        for text in conclusion.lines:
            formats.say(console(), text)


def summarize(written: "Written", conclusion: Conclusion, path: Path | None) -> None:
    """Write the summary of a run, if a file is named for it."""
    if path is not None:
        from harness.report.pull_request import summary

        summary.write(summary.of_run(written, conclusion.lines), path)


def line(subject: str, *cells: Text) -> Table:
    """A subject, cells of seven characters, and a text broken to the width of the console."""
    table = Table.grid(padding=(0, 2))
    table.add_column(width=11)
    for _ in cells[:-1]:
        table.add_column(width=7)
    table.add_column(ratio=1)
    table.add_row(Text(subject, "bold"), *cells)
    return table


def text(words: str) -> Text:
    """Text of any origin, fit to be printed."""
    return Text(printable(words))
