"""`harness history`: how the speedup of each case went, run after run."""

import argparse
from pathlib import Path

from harness.commands import options, output
from harness.commands.saved_runs import read
from harness.errors import BadComparison
from harness.records import folders
from harness.records.run_file import gc_paused


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser("history", help="a case over many runs, and where it changed")
    which = "folder of results (default: that of --output)"
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help=which)
    page = "write a page with a chart of each case, and all points as a CSV file of the same name"
    parser.add_argument("--page", type=Path, metavar="FILE.html", help=page)
    options.finish(parser, "history", history)


def history(arguments: argparse.Namespace) -> int:
    """Read all runs of a folder, and show what changed."""
    with gc_paused():
        from harness.analyze.history import series
        from harness.report import formats
        from harness.report import history as report

    results = Path(arguments.folder or arguments.output)
    paths = folders.locate_all(str(results), results) if results.is_dir() else []
    if len(paths) < 2:
        raise BadComparison(f"there are not two runs in {results}, so there is no history")
    found = series.collect(*read.runs(paths, series.summarize))
    if arguments.page is not None:
        report.write(found, arguments.page)
    if arguments.json:
        output.print_json(report.document(found))
        return 0
    console = output.console()
    console.print(formats.to_rich(report.table(found), console.width, "--json"))
    if arguments.page is not None:
        console.print(f"\nWritten to {arguments.page}", soft_wrap=True)
    return 0
