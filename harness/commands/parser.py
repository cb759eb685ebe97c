"""The command line: assembles the commands and turns errors into exit codes."""

import argparse
import io
import os
import shlex
import sys
from collections.abc import Sequence

from harness.commands import bisect, doctor, output, profile, run, tune
from harness.commands import list as listing
from harness.commands.interrupts import as_interrupts
from harness.commands.saved_runs import advise, compare, history, report
from harness.commands.validate import command as validate
from harness.errors import HarnessError
from harness.units import printable

COMMANDS = (listing, doctor, run, tune, profile, bisect, report, advise, compare, history, validate)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0 done, 1 a case failed or a threshold was crossed, 2 wrong usage, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):  # a locale may not know every character
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    typed = sys.argv[1:] if argv is None else argv
    arguments = build().parse_args(typed)
    arguments.typed = shlex.join(["harness", *typed])
    try:
        with as_interrupts():
            return int(arguments.command(arguments))
    except HarnessError as error:
        print(f"harness: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return output.INTERRUPTED
    except BrokenPipeError:  # the reader has had enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def build() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    about = "Measure what training a Keras model costs."
    parser = argparse.ArgumentParser(prog="harness", description=about)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        command.add(commands)
    return parser
