"""The command line: one parser, one short function a command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.settings import AUTO, RUN_OPTIONS, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit code: 0 done, 1 a case failed, 2 wrong usage, 130 interrupted.
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
    run = commands.add_parser("run", help="measure models without a suite")
    run.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="my_model.py:build, pkg.mod:build, keras.applications:NAME or a bundled name",
    )
    for option in RUN_OPTIONS:
        default = AUTO if option.name == "batch-sizes" else option.default
        text = option.text + (f" (default: {default})" if default else "")
        if option.name == "batch-sizes":
            text = "batch sizes, in samples; auto: search for them" + f" (default: {default})"
        run.add_argument(f"--{option.name}", metavar=option.metavar, default=default, help=text)
    run.add_argument(
        "--resume", nargs="?", const="latest", metavar="RUN", help="go on with an interrupted run"
    )
    run.set_defaults(command=_run)
    report = commands.add_parser("report", help="make every table and chart of a run again")
    report.add_argument("run", nargs="?", default="latest", help="run id, its beginning, or folder")
    report.add_argument("--output", type=Path, default=Path("results"), help="folder of results")
    report.set_defaults(command=_report)
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


def _run(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from harness import running
    from harness.measure.gpu import open_gpu
    from harness.workbench import Workbench

    given = {option.name: getattr(arguments, _key(option.name)) for option in RUN_OPTIONS}
    gpu = open_gpu()
    settings = parse({**given, "variants": ",".join(arguments.models)}, Path.cwd(), gpu)
    console = Console(highlight=False)
    workbench = Workbench(settings, gpu, Console(stderr=True, soft_wrap=True), arguments.resume)
    complete = interrupted = False
    try:
        complete = running.run(workbench, settings.variants)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        workbench.close()
    show = workbench.write()
    if show is not None:
        show(console)
    if interrupted:
        console.print("Interrupted: the same command with --resume measures the rest.")
        return 130
    return 0 if complete else 1


def _key(option: str) -> str:
    return option.replace("-", "_")


def _report(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from harness.records import Failure
    from harness.report import console, files, names, runs

    folder = runs.locate(arguments.run, arguments.output)
    run = names.shortened(runs.read(folder))
    tables, paths = files.write(run, folder)
    console.show(Console(), run, tables, paths)
    return int(any(isinstance(outcome, Failure) for outcome in run.outcomes))
