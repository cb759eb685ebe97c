"""`harness profile`: where the time of a training step goes, layer by layer."""

import argparse
from collections.abc import Sequence

from harness.commands import options, output, values
from harness.commands.measured import measured, trace
from harness.commands.session import Session
from harness.records.protocol import FEWEST_BLOCKS
from harness.workloads import registry


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    what = "show where the time of a training step goes, layer by layer"
    parser = commands.add_parser("profile", help=what)
    parser.add_argument("models", nargs="+", metavar="MODEL", help="as for run")
    size = "in samples per step (default: 256)"
    parser.add_argument("--batch-size", metavar="N", default="256", help=size)
    options.finish(parser, "profile", profile)


def profile(arguments: argparse.Namespace) -> int:
    """Trace each model in a few fresh workers."""
    size = values.named("--batch-size", values.count, arguments.batch_size)
    models = list(dict.fromkeys(arguments.models))
    return measured(arguments, lambda session: _profile(session, models), batch_sizes=(size,))


def _profile(session: Session, models: Sequence[str]) -> bool:
    settings = session.settings
    for model in models:
        registry.check(model)
    session.check([(model, settings.batch_sizes[0]) for model in models], models)
    for device in settings.devices:
        session.cases.check_device(device)
    cases = [
        session.cases.case(variant=model, device=device)
        for device in settings.devices
        for model in models
    ]
    complete = True
    for case in cases:
        if error := session.cases.untrainable(case) or trace(session, case, FEWEST_BLOCKS):
            session.runner.refuse(case, case, error)
            complete = False
    return complete
