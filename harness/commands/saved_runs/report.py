"""`harness report`: make the tables, charts and page of a run again."""

import argparse
import sys
from pathlib import Path

from harness.commands import options, output
from harness.errors import BadRun
from harness.records import Failure
from harness.records import folders as runs
from harness.records.run_file import gc_paused

_FORMATS = ("bmf", "github-action-benchmark", "openmetrics", "parquet")


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser("report", help="make every table, chart and page of a run again")
    output.add_run(parser)
    formats = "print the run in another program's format instead, and write no file"
    parser.add_argument("--export", choices=_FORMATS, help=formats)
    options.finish(parser, "report", report)


def report(arguments: argparse.Namespace) -> int:
    """Read, analyze, write and show a run; return 1 if a case has failed."""
    with gc_paused():
        from harness.report import files
        from harness.report.names import shortened

    folder = runs.locate(arguments.run, Path(arguments.output))
    if arguments.export is not None:
        return _export(folder, arguments.export)
    with runs.errors_as_bad_run(folder):
        written = files.write(shortened(runs.read(folder)), folder)
        output.show(written, as_json=arguments.json)
    return int(any(isinstance(outcome, Failure) for outcome in written.analysis.run.outcomes))


def _export(folder: Path, name: str) -> int:
    """Print a run in a format of another program."""
    from harness.analyze.analysis import Analysis
    from harness.report.exports.formats import FORMATS
    from harness.report.names import shortened

    if name == "parquet" and sys.stdout.isatty():
        raise BadRun("parquet is no text: redirect it into a file, as > run.parquet")
    with runs.errors_as_bad_run(folder):
        sys.stdout.buffer.write(FORMATS[name](Analysis(shortened(runs.read(folder)))))
    return 0
