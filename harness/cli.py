"""The command line: one parser, one short function a command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import BadComparison, HarnessError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit code: 0 done, 1 a case failed or a threshold was crossed, 2 wrong usage,
        130 interrupted.
    """
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="harness", description="Measure what training a Keras model costs."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    listing = commands.add_parser("list", help="variants, datasets, backends and devices here")
    listing.set_defaults(command=_list)
    doctor = commands.add_parser(
        "doctor", help="what this machine can measure, and what disturbs it"
    )
    doctor.set_defaults(command=_doctor)
    report = commands.add_parser("report", help="make every table and chart of a run again")
    report.add_argument("run", nargs="?", default="latest", help="run id, its beginning, or folder")
    report.add_argument("--output", type=Path, default=Path("results"), help="folder of results")
    report.set_defaults(command=_report)
    compare = commands.add_parser("compare", help="compare runs, case by case")
    compare.add_argument("runs", nargs="+", metavar="run", help="run id, its beginning, or folder")
    compare.add_argument("--reference", help="the run the others are compared with (the first)")
    compare.add_argument(
        "--fail-if-slower",
        metavar="PERCENT",
        help="end with 1 when a case is shown to be slower by more, or newly failed",
    )
    compare.add_argument("--json", action="store_true", help="print one JSON object, all of it")
    compare.add_argument("--output", type=Path, default=Path("results"), help="folder of results")
    compare.set_defaults(command=_compare)
    return parser


def _list(_: argparse.Namespace) -> int:
    from rich.console import Console

    from harness.measure import backends
    from harness.measure.gpu import open_gpu
    from harness.measure.machine import usable_cpus
    from harness.workloads import datasets, registry

    console = Console(highlight=False)
    console.print("Variants:", ", ".join(registry.names()))
    console.print(f"          baseline+CHANGE: {', '.join(registry.CHANGES)}")
    try:
        mnist = str(datasets.mnist_path() or "not on this machine")
    except HarnessError as error:
        mnist = str(error)
    console.print(f"Datasets: mnist ({mnist})", end="")
    console.print(", digits, synthetic, FILE.npz")
    for name in backends.NAMES:
        state = backends.missing(name) or "installed"
        console.print(f"Backend:  {name} ({state})")
    gpu = open_gpu()
    console.print(f"Devices:  cpu ({len(usable_cpus())} usable), gpu ({gpu.name or gpu.reason})")
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from rich.console import Console

    from harness.measure import doctor
    from harness.measure.gpu import open_gpu
    from harness.report.findings import Findings

    shown, found = Findings(Console(highlight=False)), []
    for finding in doctor.examine(open_gpu()):
        shown.show(finding)
        found.append(finding)
    return 0 if doctor.can_train(found) else 1


def _report(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from harness.records import Failure
    from harness.report import console, files, runs

    folder = runs.locate(arguments.run, arguments.output)
    run = runs.read(folder)
    tables, paths = files.write(run, folder)
    console.show(Console(), run, tables, paths)
    return int(any(isinstance(outcome, Failure) for outcome in run.outcomes))


def _compare(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from harness.analyze import compare, gate
    from harness.report import comparing, runs

    slower = arguments.fail_if_slower
    share = None if slower is None else gate.threshold(slower)
    folders = [runs.locate(name, arguments.output) for name in arguments.runs]
    if arguments.reference is None:
        reference, *others = folders
    else:
        reference = runs.locate(arguments.reference, arguments.output)
        others = [folder for folder in folders if folder.resolve() != reference.resolve()]
    if not others:
        raise BadComparison("compare takes two runs or more: harness compare RUN RUN")
    found = compare.compare(runs.read(reference), [runs.read(folder) for folder in others])
    judged = None if share is None else gate.judge(found, share)
    if arguments.json:
        print(comparing.to_text(found, judged))  # noqa: T201
    else:
        comparing.show(Console(), found, judged)
    return int(judged is not None and bool(judged.crossed))
