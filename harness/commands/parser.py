"""The command line: one parser, one short function a command."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.commands import options
from harness.commands.interrupts import as_interrupts
from harness.commands.options import AUTO, parse
from harness.errors import BadComparison, HarnessError
from harness.records import Run, to_json
from harness.records.run_file import gc_paused
from harness.units import printable

if TYPE_CHECKING:
    from rich.console import Console

    from harness.commands.session import Workbench
    from harness.commands.validate.claims import Check
    from harness.report.files import Written


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit code: 0 done, 1 a case failed or a threshold was crossed, 2 wrong usage,
        130 interrupted.
    """
    typed = sys.argv[1:] if argv is None else argv
    arguments = _parser().parse_args(typed)
    arguments.typed = shlex.join(["harness", *typed])
    try:
        with as_interrupts():
            return int(arguments.command(arguments))
    except HarnessError as error:
        print(f"harness: {printable(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has had enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="harness", description="Measure what training a Keras model costs."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    listing = commands.add_parser("list", help="variants, datasets, backends and devices here")
    _add_json(listing)
    listing.set_defaults(command=_list)
    doctor = commands.add_parser(
        "doctor", help="what this machine can measure, and what disturbs it"
    )
    _add_json(doctor)
    doctor.set_defaults(command=_doctor)
    run = commands.add_parser("run", help="measure models without a suite")
    run.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="my_model.py:build, pkg.mod:build, keras.applications:NAME or a bundled name",
    )
    auto = "batch sizes, in samples per step; auto: search for them (default: auto)"
    options.add_arguments(run, options.options_of("run"), batch_sizes=auto)
    run.set_defaults(batch_sizes=AUTO)
    _add_json(run)
    run.set_defaults(command=_run)
    _add_tune(commands)
    report = commands.add_parser("report", help="make every table, chart and page of a run again")
    report.add_argument("run", nargs="?", default="latest", help="run id, its beginning, or folder")
    options.add_arguments(report, ["output"])
    _add_json(report)
    report.set_defaults(command=_report)
    advise = commands.add_parser(
        "advise",
        help="which batch size, device and threads, and what a training takes",
    )
    advise.add_argument("run", nargs="?", default="latest", help="run id, its beginning, or folder")
    advise.add_argument("--variant", help="this one alone")
    advise.add_argument("--samples", type=int, help="an epoch (default: the training set's)")
    advise.add_argument("--epochs", type=int, default=1, help="of the training (default: 1)")
    advise.add_argument("--price-per-hour", type=float, help="of the machine, in any currency")
    _add_json(advise)
    options.add_arguments(advise, ["output"])
    advise.set_defaults(command=_advise)
    compare = commands.add_parser("compare", help="compare runs, case by case")
    compare.add_argument("runs", nargs="+", metavar="run", help="run id, its beginning, or folder")
    compare.add_argument("--reference", help="the run the others are compared with (the first)")
    compare.add_argument(
        "--fail-if-slower",
        metavar="PERCENT",
        help="end with 1 when a case is shown to be slower by more, or newly failed",
    )
    compare.add_argument(
        "--page", type=Path, metavar="FILE.html", help="also write a page that ranks the runs"
    )
    compare.add_argument(
        "--prices", metavar="RUN=PRICE,…", help="of an hour of each machine, for that page"
    )
    _add_json(compare)
    options.add_arguments(compare, ["output"])
    compare.set_defaults(command=_compare)
    validate = commands.add_parser("validate", help="try the method on known truths, on this CPU")
    _add_validation(validate)
    validate.add_argument(
        "--only",
        metavar="PART,PART",
        help="noise, slowdowns, disturbed, readings, keras, arithmetic",
    )
    validate.set_defaults(command=_validate)
    noise = commands.add_parser(
        "noise", help="this machine's noise floor: a case against itself, and what watching costs"
    )
    _add_validation(noise)
    noise.set_defaults(command=_validate, only="noise")
    return parser


def _add_tune(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    tune = commands.add_parser("tune", help="find the settings that make a model train faster")
    tune.add_argument("model", metavar="MODEL", help="as for run")
    tune.add_argument("--batch-size", metavar="N", default="256", help="in samples (default: 256)")
    options.add_arguments(tune, options.options_of("tune"))
    _add_json(tune)
    tune.set_defaults(command=_tune)


def _add_validation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--effort",
        default="quick",
        help="quick (some minutes) or thorough (some hours) (default: quick)",
    )
    _add_json(parser)
    options.add_arguments(parser, ["output", "resume"])


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else")


def _list(arguments: argparse.Namespace) -> int:
    from harness.commands.inventory import inventory
    from harness.measure.machine.gpu import open_gpu

    found = inventory(open_gpu())
    if arguments.json:
        return _print_json(found)
    from harness.commands.output import listing

    listing(_console(), found)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from harness.commands import doctor
    from harness.commands.output import Findings
    from harness.measure.machine.gpu import open_gpu

    shown, found = Findings(_console()), []
    for finding in doctor.examine(open_gpu()):
        if not arguments.json:
            shown.show(finding)
        found.append(finding)
    if arguments.json:
        _print_json(to_json(found))
    return 0 if doctor.can_train(found) else 1


def _console() -> "Console":
    """Colors are left out where the output is no terminal, and under NO_COLOR."""
    from rich.console import Console

    return Console(highlight=False)


def _print_json(data: Any) -> int:
    """Write one JSON document, and nothing else, on standard output."""
    print(json.dumps(data, indent=1, allow_nan=False))  # noqa: T201
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from harness.commands import run as running

    models = tuple(dict.fromkeys(arguments.models))
    return _measure(arguments, lambda bench: running.run(bench, models))


def _tune(arguments: argparse.Namespace) -> int:
    from harness.commands import run as running

    size = options.named("--batch-size", options.count, arguments.batch_size)
    return _measure(
        arguments, lambda bench: running.tune(bench, arguments.model), batch_sizes=(size,)
    )


def _measure(
    arguments: argparse.Namespace,
    measure: "Callable[[Workbench], bool]",
    **fixed: Any,
) -> int:
    """Measure and show, also what an interrupted run has."""
    from rich.console import Console

    from harness.commands.session import Workbench
    from harness.measure.machine.gpu import open_gpu

    gpu = open_gpu()
    chosen = parse(vars(arguments), Path.cwd(), gpu, **fixed)
    progress = Console(stderr=True, soft_wrap=True)
    workbench = Workbench(chosen, gpu, progress, arguments.typed)
    complete = interrupted = False
    try:
        complete = measure(workbench)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        workbench.close()
    written = workbench.write()
    if written is not None:
        _show(written, as_json=arguments.json)
    if interrupted:
        progress.print("Interrupted: the same command with --resume measures the rest.")
        return 130
    return 0 if complete else 1


def _show(written: "Written", *, as_json: bool) -> None:
    from harness.report import console

    if as_json:
        _print_json(console.document(written))
    else:
        console.show(_console(), written)


def _report(arguments: argparse.Namespace) -> int:
    with gc_paused():
        from harness.records import Failure
        from harness.records import folders as runs
        from harness.report import files
        from harness.report.names import shortened

    folder = runs.locate(arguments.run, Path(arguments.output))
    with runs.errors_as_bad_run(folder):
        written = files.write(shortened(runs.read(folder)), folder)
        _show(written, as_json=arguments.json)
    return int(any(isinstance(outcome, Failure) for outcome in written.analysis.run.outcomes))


def _advise(arguments: argparse.Namespace) -> int:
    with gc_paused():
        from harness.analyze.advice.cost import planned
        from harness.analyze.analysis import Analysis
        from harness.records import folders as runs
        from harness.report import advice
        from harness.report.names import shortened

    folder = runs.locate(arguments.run, Path(arguments.output))
    with runs.errors_as_bad_run(folder):
        run = Analysis(shortened(runs.read(folder)))
        answers = planned(
            run, arguments.variant, arguments.samples, arguments.epochs, arguments.price_per_hour
        )
        if arguments.json:
            print(advice.to_json_text(run, answers))  # noqa: T201
        else:
            advice.show(_console(), run, answers)
    return int(not any(plan for _, plan in answers))


def _compare(arguments: argparse.Namespace) -> int:
    with gc_paused():
        from harness.analyze.compare import gate
        from harness.analyze.compare import run_diff as compare
        from harness.records import folders as runs
        from harness.report import run_diffs

    slower = arguments.fail_if_slower
    share = None if slower is None else gate.threshold(slower)
    folders = [runs.locate(name, Path(arguments.output)) for name in arguments.runs]
    if arguments.reference is None:
        reference, *others = folders
    else:
        reference = runs.locate(arguments.reference, Path(arguments.output))
        others = [folder for folder in folders if folder.resolve() != reference.resolve()]
    if not others:
        raise BadComparison("compare takes two runs or more: harness compare RUN RUN")
    with runs.errors_as_bad_run(reference, *others):
        first, rest = runs.read(reference), [runs.read(folder) for folder in others]
        found = compare.compare(first, rest)
        if arguments.page is not None:
            prices = _prices(arguments.prices)
            _write_ranking([first, *rest], prices, arguments.page)
        judged = None if share is None else gate.judge(found, share)
        if arguments.json:
            print(run_diffs.to_json_text(found, judged))  # noqa: T201
        else:
            run_diffs.show(_console(), found, judged)
    return int(judged is not None and bool(judged.crossed))


def _prices(text: str | None) -> dict[str, float]:
    """Read `RUN=PRICE,RUN=PRICE`."""
    found = {}
    for part in options.list_of(str)(text or ""):
        run, _, price = part.partition("=")
        found[run] = options.named(f"--prices: {run}", options.positive, price)
    return found


def _write_ranking(runs: "Sequence[Run]", prices: "Mapping[str, float]", path: Path) -> None:
    from harness.analyze.compare.ranking import ranking
    from harness.report import ranking_page
    from harness.report.names import shortened

    short = [shortened(run) for run in runs]
    ranking_page.write(ranking(short, prices), short, path)


def _validate(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from harness.commands.validate import output
    from harness.commands.validate.run import PARTS, Validation
    from harness.commands.validate.truths import EFFORTS
    from harness.measure.machine.gpu import open_gpu
    from harness.records.folders import locate, new_run_folder
    from harness.report.progress import Progress

    effort = EFFORTS[options.named("--effort", options.one_of(EFFORTS), arguments.effort)]
    only = options.list_of(options.one_of(PARTS))
    parts = options.named("--only", only, arguments.only or "") or tuple(PARTS)
    if arguments.resume:
        folder = locate(arguments.resume, Path(arguments.output), "validation")
    else:
        folder = new_run_folder(Path(arguments.output), "validation")
    progress = Console(stderr=True, soft_wrap=True)
    observer = Progress(progress, effort.comparisons(parts))
    validation = Validation(folder, effort, open_gpu(), observer)
    console = _console()

    def show(part: str, checks: "Sequence[Check]") -> None:
        if not arguments.json:
            output.show(console, part, checks, validation.machine)

    try:
        validation.run(parts, show)
    except KeyboardInterrupt:
        progress.print("Interrupted: the same command with --resume goes on.")
        return 130
    if arguments.json:
        _print_json(to_json(validation.found))
    else:
        output.conclude(console, validation.found, validation.machine)
        console.print(f"Written to {folder}")
    return int(any(c.verdict == "falls short" for cs in validation.found.values() for c in cs))
