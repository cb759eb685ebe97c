"""`harness run`: measure models without a suite."""

import argparse
from collections.abc import Sequence

from harness.commands import options, output
from harness.commands.cases import Comparison
from harness.commands.measured import measured
from harness.commands.session import Session
from harness.commands.tune import wish_of_versions
from harness.measure.group import NO_WISH, Wish
from harness.records import Case, Failure
from harness.workloads import registry
from harness.workloads.matrix import comparisons, reference_size


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser("run", help="measure models without a suite")
    models = (
        "my_model.py:build, script.py:model, model.keras, pkg.mod:build, keras.applications:NAME "
        "or a bundled name"
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help=models)
    auto = "batch sizes, in samples per step; auto: search for them (default: auto)"
    options.finish(parser, "run", run, batch_sizes=auto)
    parser.set_defaults(batch_sizes=options.AUTO)


def run(arguments: argparse.Namespace) -> int:
    """Measure each model's batch sizes, each model against the first, on each device."""
    models = list(dict.fromkeys(arguments.models))
    return measured(arguments, lambda session: _measure(session, models))


def _measure(session: Session, models: Sequence[str]) -> bool:
    wanted = _comparisons(session, models)
    session.expect(len(wanted))
    wishes = {one: _wish(session, *one) for one in wanted}
    for one, wish in wishes.items():
        session.plan([one], wish)
    for (case, reference), wish in wishes.items():
        session.measure(case, reference, wish)
    found = session.runner.run()
    failed = any(isinstance(outcome, Failure) for outcome in found.outcomes)
    return not failed and all(search.chosen for search in found.searches)


def _wish(session: Session, case: Case, reference: Case) -> Wish:
    """Between versions, compare what is learned, too."""
    return NO_WISH if session.version is None else wish_of_versions(case, reference)


def _comparisons(session: Session, models: Sequence[str]) -> list[Comparison]:
    """List the cases with their references; where no batch size is given, search for them."""
    settings = session.settings
    for model in models:
        registry.check(model)
    session.check(models=models)
    for device in settings.devices:
        session.cases.check_device(device)
    sizes: dict[tuple[str, str], Sequence[int]] = {}
    references: dict[tuple[str, str], int] = {}
    for device in settings.devices:
        for model in models:
            if settings.batch_sizes:
                sizes[model, device] = settings.batch_sizes
                references[model, device] = reference_size(settings.batch_sizes)
            else:
                chosen = session.search(model, device).chosen
                sizes[model, device] = sorted(chosen)
                if chosen:  # the fastest comes first
                    references[model, device] = chosen[0]
    made = (
        session.cases.comparison(**fields, differs_in=differs)
        for fields, differs in comparisons(models, settings.devices, sizes, references)
    )
    return list(dict.fromkeys(made))  # between versions several are one
