"""The values of each axis that a test names, from options and markers."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from harness.commands.options import Settings
from harness.commands.plugin.fixtures import rungs
from harness.errors import HarnessError
from harness.measure.machine.gpu import AnyGpu, count
from harness.records import DEVICES
from harness.records.protocol import SEEDS
from harness.worker import backends
from harness.workloads import levers, variants

MATRIX = ("variants", "batch_sizes", "devices", "threads", "backends", "levers", "replicas")


def values(
    metafunc: pytest.Metafunc, settings: Settings, given: Mapping[str, str | None], gpu: AnyGpu
) -> dict[str, list[Any]]:
    """List the values of each axis that a test names.

    Args:
        metafunc: The test.
        settings: Checked settings.
        given: Options that were given, by their names.
        gpu: From `gpu.open_gpu()`.

    Raises:
        pytest.UsageError: a marker says what cannot be.
    """
    says = matrix(metafunc.definition)
    _check_matrix(says)

    def chosen(option: str, name: str, usual: list[Any]) -> list[Any]:
        return usual if given[option] else list(says.get(name, usual))

    known: dict[str, Callable[[], list[Any]]] = {
        "seed": lambda: list(range(settings.seeds or SEEDS[settings.effort])),
        "rung": lambda: _rungs(metafunc, settings, given),
        "variant": lambda: list(variants_of(settings, says)),
        "batch_size": lambda: chosen("batch-sizes", "batch_sizes", list(settings.batch_sizes)),
        "device": lambda: [
            device if device in settings.devices else _not_chosen(device, gpu)
            for device in says.get("devices", settings.devices)
        ],
        "backend": lambda: (
            [settings.backend] if given["backend"] else list(says.get("backends", backends.NAMES))
        ),
        "threads": lambda: chosen("threads", "threads", doubled(settings.threads)),
        "lever": lambda: _levers(settings, says),
        "hosts": lambda: [2 if settings.hosts is None else settings.hosts.size],
        "replicas": lambda: list(
            settings.replicas or says.get("replicas", doubled(max(2, count()))[1:])
        ),
    }
    if "converge" not in metafunc.fixturenames:
        del known["seed"]
    if "climb" not in metafunc.fixturenames:
        del known["rung"]
    return {name: axis() for name, axis in known.items() if name in metafunc.fixturenames}


def matrix(item: pytest.Item) -> Mapping[str, Any]:
    """What the marker `matrix` of a test says."""
    marker = item.get_closest_marker("matrix")
    return marker.kwargs if marker else {}


def variants_of(settings: Settings, says: Mapping[str, Any]) -> tuple[str, ...]:
    """The variants of the option, else of the marker, else the published ones."""
    return settings.variants or tuple(says.get("variants") or variants.PUBLISHED)


def _levers(settings: Settings, says: Mapping[str, Any]) -> list[str]:
    """List the settings of the option, else of the marker, else all of the backend."""
    wanted = settings.levers or tuple(says.get("levers", ())) or levers.tried(settings.backend)
    try:
        for lever in wanted:
            levers.parts(lever)
    except HarnessError as error:
        raise pytest.UsageError(f"matrix: {error}") from error
    return list(wanted)


def _rungs(
    metafunc: pytest.Metafunc, settings: Settings, given: Mapping[str, str | None]
) -> list[Any]:
    """List the rungs of the option's ladder, else of every ladder that a test is marked with."""
    markers = [*metafunc.definition.iter_markers("ladder")][::-1]  # as written, from the top
    try:
        texts = dict(_name_and_steps(*marker.args, **marker.kwargs) for marker in markers)
    except TypeError as error:
        raise pytest.UsageError("a ladder has a name and steps: ladder(name, steps)") from error
    if settings.ladder:
        texts = {"as asked for": settings.ladder}
    try:
        found = [rung for name, text in texts.items() for rung in rungs(name, text)]
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    if settings.ladder or not (given["variants"] or given["batch-sizes"]):
        return found
    reason = "a ladder has variants and batch sizes of its own: --train-ladder"
    return [pytest.param(rung, marks=pytest.mark.skip(reason=reason)) for rung in found]


def _name_and_steps(name: str, steps: str) -> tuple[str, str]:
    return name, steps


def _check_matrix(says: Mapping[str, Any]) -> None:
    """Refuse a marker with unknown names or values.

    Raises:
        pytest.UsageError: a name that does not exist, or text where a list belongs.
    """
    unknown = sorted(set(says) - set(MATRIX))
    if unknown:
        raise pytest.UsageError(f"matrix has no {', '.join(unknown)}; known: {', '.join(MATRIX)}")
    for name, wanted in says.items():
        if isinstance(wanted, str):
            raise pytest.UsageError(f"matrix: {name} must be a list, not {wanted!r}")
    for name, known in (("devices", DEVICES), ("backends", backends.NAMES)):
        wrong = [str(value) for value in says.get(name, ()) if value not in known]
        if wrong:
            raise pytest.UsageError(
                f"matrix: no {', '.join(wrong)} among {name}; known: {', '.join(known)}"
            )


def _not_chosen(device: str, gpu: AnyGpu) -> Any:
    """Skip a device that a test names and that the user, or the machine, leaves out."""
    why = gpu.reason if device == "gpu" else None
    reason = why or f"needs the {device.upper()}, which --train-devices leaves out"
    return pytest.param(device, marks=pytest.mark.skip(reason=reason))


def doubled(most: int) -> list[int]:
    """List 1, 2, 4 and so on, and `most` itself."""
    return [*itertools.takewhile(lambda n: n < most, (2**k for k in itertools.count())), most]


def id_of(name: str, value: Any) -> str:
    """Name a value in a test's id."""
    units = {
        "batch_size": "batch",
        "threads": "threads",
        "seed": "seed",
        "replicas": "x",
        "hosts": "hosts",
    }
    return f"{units[name]}{value}" if name in units else str(value)
