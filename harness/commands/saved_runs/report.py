"""`harness report`: make the tables, charts and page of a run again."""

import argparse
from pathlib import Path

from harness.commands import options, output
from harness.records import Failure
from harness.records import folders as runs
from harness.records.run_file import gc_paused


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser("report", help="make every table, chart and page of a run again")
    output.add_run(parser)
    options.finish(parser, "report", report)


def report(arguments: argparse.Namespace) -> int:
    """Read, analyze, write and show a run; return 1 if a case has failed."""
    with gc_paused():
        from harness.report import files
        from harness.report.names import shortened

    folder = runs.locate(arguments.run, Path(arguments.output))
    with runs.errors_as_bad_run(folder):
        written = files.write(shortened(runs.read(folder)), folder)
        output.show(written, as_json=arguments.json)
    return int(any(isinstance(outcome, Failure) for outcome in written.analysis.run.outcomes))
