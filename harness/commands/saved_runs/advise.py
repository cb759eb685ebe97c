"""`harness advise`: which batch size, device and threads, and what a training takes."""

import argparse
from pathlib import Path

from harness.commands import options, output
from harness.records import folders as runs
from harness.records.run_file import gc_paused


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    about = "which batch size, device and threads, and what a training takes"
    parser = commands.add_parser("advise", help=about)
    output.add_run(parser)
    parser.add_argument("--variant", help="only this variant")
    samples = "samples per epoch (default: those of the training set)"
    parser.add_argument("--samples", type=int, help=samples)
    parser.add_argument("--epochs", type=int, default=1, help="epochs of the training (default: 1)")
    price = "price per hour of the machine, in any currency"
    parser.add_argument("--price-per-hour", type=float, help=price)
    price = "price per kilowatt-hour, in any currency; for a machine whose energy was measured"
    parser.add_argument("--price-per-kwh", type=float, help=price)
    grams = "grams of carbon dioxide per kilowatt-hour, likewise"
    parser.add_argument("--grams-per-kwh", type=float, help=grams)
    options.finish(parser, "advise", advise)


def advise(arguments: argparse.Namespace) -> int:
    """Print what a run recommends; return 1 if it has no case to plan a training with."""
    with gc_paused():
        from harness.analyze.advice.cost import Rates, planned
        from harness.analyze.analysis import Analysis
        from harness.report import advice
        from harness.report.names import shortened

    folder = runs.locate(arguments.run, Path(arguments.output))
    with runs.errors_as_bad_run(folder):
        run = Analysis(shortened(runs.read(folder)))
        rates = Rates(arguments.price_per_hour, arguments.price_per_kwh, arguments.grams_per_kwh)
        answers = planned(run, arguments.variant, arguments.samples, arguments.epochs, rates)
        if arguments.json:
            print(advice.to_json_text(run, answers))
        else:
            advice.show(output.console(), run, answers)
    return int(not any(plan for _, plan in answers))
