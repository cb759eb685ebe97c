"""`harness validate` and `harness noise`: try the method on known truths, on this CPU."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import options, values
from harness.commands import output as printed
from harness.commands.interrupts import to_resume
from harness.measure.machine.open_gpu import open_gpu
from harness.records import to_json
from harness.records.folders import locate, new_run_folder
from harness.worker.backends import NAMES as BACKENDS

if TYPE_CHECKING:
    from harness.commands.validate.claims import Check

_KIND = "validation"
_RESUME = f"continue an interrupted one: its id or a beginning of it (alone: {options.LATEST})"


def add(commands: printed.Commands) -> None:
    """Add both commands and their arguments."""
    both = commands.add_parser("validate", help="try the method on known truths, on this CPU")
    only = "noise, slowdowns, disturbed, readings, keras, layers, arithmetic"
    both.add_argument("--only", metavar="PART,PART", help=only)
    backends = "where layers are copied: tensorflow,jax,torch (default: all that are installed)"
    both.add_argument("--backends", metavar="NAME,NAME", help=backends)
    noise = commands.add_parser(
        "noise", help="this machine's noise floor: a case against itself, and what watching costs"
    )
    noise.set_defaults(only="noise", backends=None)
    for parser in (both, noise):
        efforts = "quick (some minutes) or thorough (some hours) (default: quick)"
        parser.add_argument("--effort", default="quick", help=efforts)
        options.finish(parser, "validate", validate, resume=_RESUME)


def validate(arguments: argparse.Namespace) -> int:
    """Try parts of the method; return 1 if a claim falls short."""
    from harness.commands.validate import output
    from harness.commands.validate.run import PARTS, Validation
    from harness.commands.validate.truths import EFFORTS, installed
    from harness.report.progress import Progress

    effort = EFFORTS[values.named("--effort", values.one_of(EFFORTS), arguments.effort)]
    only = values.list_of(values.one_of(PARTS))
    parts = values.named("--only", only, arguments.only or "") or tuple(PARTS)
    asked = values.list_of(values.one_of(dict.fromkeys(BACKENDS)))
    backends = values.named("--backends", asked, arguments.backends or "") or tuple(installed())
    results = Path(arguments.output)
    resume = arguments.resume
    folder = locate(resume, results, _KIND) if resume else new_run_folder(results, _KIND)
    progress, console = printed.progress(), printed.console()
    observer = Progress(progress, effort.comparisons(parts, backends))
    validation = Validation.open(folder, effort, open_gpu(), observer, backends)

    def show(part: str, checks: "Sequence[Check]") -> None:
        if not arguments.json:
            output.show(console, part, checks, validation.machine)

    try:
        validation.run(parts, show)
    except KeyboardInterrupt as error:
        progress.print(to_resume(error, "--resume", resume))
        return printed.INTERRUPTED
    if arguments.json:
        printed.print_json(to_json(validation.found))
    else:
        output.conclude(console, validation.found, validation.machine)
        console.print(f"Written to {folder}")
    return int(any(c.verdict == "falls short" for cs in validation.found.values() for c in cs))
