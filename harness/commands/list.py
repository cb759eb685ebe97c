"""`harness list`: variants, datasets, backends, devices and settings, each with its state here."""

import argparse
from collections.abc import Mapping
from typing import Any

from harness.commands import options, output
from harness.errors import HarnessError
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.open_gpu import open_gpu
from harness.records import Case
from harness.worker import backends
from harness.workloads import datasets, levers, registry


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser("list", help="variants, datasets, backends and devices here")
    options.finish(parser, "list", show)


def show(arguments: argparse.Namespace) -> int:
    """Print what can be trained here."""
    found = inventory(open_gpu())
    if arguments.json:
        output.print_json(found)
        return 0
    console = output.console()
    for subject, texts in _lines(found).items():
        for number, text in enumerate(texts):
            console.print(output.line("" if number else subject, output.text(text)))
    return 0


def inventory(gpu: AnyGpu) -> dict[str, Any]:
    """List what can be trained here, as plain values."""
    try:
        mnist = str(datasets.mnist_path() or "not on this machine")
    except HarnessError as error:
        mnist = str(error)
    device, cpus = "cpu" if gpu.name is None else "gpu", len(usable_cpus())
    usual = Case("", "", 1, device=device, threads=cpus)  # with TensorFlow, the usual backend
    others = dict.fromkeys((*datasets.BUNDLED[1:], datasets.FITTED), "always")
    return {
        "variants": registry.names(),
        "changes": list(registry.CHANGES),
        "datasets": {"mnist": mnist, **others},
        "backends": {one.name: one.missing() or "installed" for one in backends.BACKENDS},
        "devices": {"cpu": f"{cpus} usable", "gpu": str(gpu.name or gpu.reason)},
        "levers": {
            lever: levers.unavailable(lever, usual) or "can be tried"
            for lever in levers.tried(usual.backend)
        },
    }


def _lines(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """The lines of each subject."""
    sets = found["datasets"]
    reasons: dict[str, list[str]] = {}
    for lever, state in found["levers"].items():
        reasons.setdefault(state, []).append(lever)
    return {
        "Variants": [
            ", ".join(found["variants"]),
            f"baseline+CHANGE: {', '.join(found['changes'])}",
            "your own: my_model.py:build, pkg.mod:build, keras.applications:NAME",
        ],
        "Datasets": [
            f"mnist ({sets['mnist']}), {', '.join(name for name in sets if name != 'mnist')}",
            "your own: FILE.npz, FILE.py:function",
        ],
        "Backends": [f"{name} ({state})" for name, state in found["backends"].items()],
        "Devices": [f"{name} ({state})" for name, state in found["devices"].items()],
        "Levers": [f"{', '.join(names)} ({state})" for state, names in reasons.items()],
    }
