"""What the tests of a run are: the values of their axes, which are skipped and why, the plan."""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from harness import units
from harness.commands.options import AUTO, Settings
from harness.commands.plugin import planning
from harness.commands.plugin.fixtures import rungs
from harness.errors import HarnessError
from harness.measure.machine.gpu import AnyGpu, count
from harness.records import DEVICES
from harness.records import protocol as protocols
from harness.worker import backends
from harness.workloads import levers, registry, variants

if TYPE_CHECKING:
    from harness.commands.session import Session

MATRIX = ("variants", "batch_sizes", "devices", "threads", "backends", "levers", "replicas")
_OF_WORKERS = ("backend", "device", "replicas", "hosts")  # what a machine may lack
_LEVERS = "settings not available on this machine; see the levers table"


def trains(test: pytest.Metafunc | pytest.Item) -> bool:
    """Whether a test measures training."""
    return bool({"train", "converge"} & set(getattr(test, "fixturenames", ())))


def values(metafunc: pytest.Metafunc, session: "Session") -> dict[str, list[Any]]:
    """List the values of each axis that a test names; UsageError where a marker is wrong."""
    settings, says = session.settings, matrix(metafunc.definition)
    given = settings.given
    _check_matrix(says)

    def chosen(name: str, usual: Sequence[Any]) -> list[Any]:
        return list(usual if name in given else says.get(name, usual))

    known: dict[str, Callable[[], list[Any]]] = {
        "variant": lambda: list(variants_of(settings, says)),
        "batch_size": lambda: chosen("batch_sizes", settings.batch_sizes),
        "device": lambda: [
            device if device in settings.devices else _not_chosen(device, session.gpu)
            for device in says.get("devices", settings.devices)
        ],
        "backend": lambda: (
            [settings.backend] if "backend" in given else list(says.get("backends", backends.NAMES))
        ),
        "threads": lambda: chosen("threads", doubled(settings.threads)),
        "lever": lambda: _levers(settings, says),
        "hosts": lambda: [2 if settings.hosts is None else settings.hosts.size],
        "replicas": lambda: list(
            settings.replicas or says.get("replicas", doubled(max(2, count()))[1:])
        ),
    }
    if "climb" in metafunc.fixturenames:
        known = {"rung": lambda: _rungs(metafunc, settings), **known}
    if "converge" in metafunc.fixturenames:
        seeds = settings.seeds or protocols.SEEDS[settings.effort]
        known = {"seed": lambda: list(range(seeds)), **known}
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


def _rungs(metafunc: pytest.Metafunc, settings: Settings) -> list[Any]:
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
    if settings.ladder or not settings.given & {"variants", "batch_sizes"}:
        return found
    reason = "a ladder has variants and batch sizes of its own: --train-ladder"
    return [pytest.param(rung, marks=pytest.mark.skip(reason=reason)) for rung in found]


def _name_and_steps(name: str, steps: str) -> tuple[str, str]:
    return name, steps


def _check_matrix(says: Mapping[str, Any]) -> None:
    """Refuse names that do not exist, and text where a list belongs."""
    if unknown := sorted(set(says) - set(MATRIX)):
        raise pytest.UsageError(f"matrix has no {', '.join(unknown)}; known: {', '.join(MATRIX)}")
    for name, wanted in says.items():
        if isinstance(wanted, str):
            raise pytest.UsageError(f"matrix: {name} must be a list, not {wanted!r}")
    for name, known in (("devices", DEVICES), ("backends", backends.NAMES)):
        if wrong := ", ".join(str(value) for value in says.get(name, ()) if value not in known):
            among = f"{name}; known: {', '.join(known)}"
            raise pytest.UsageError(f"matrix: no {wrong} among {among}")


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
    short = {"batch_size": "batch", "replicas": "x"}
    return f"{short.get(name, name)}{value}" if isinstance(value, int) else str(value)


def plan(training: Sequence[pytest.Item], session: "Session") -> list[str]:
    """Skip what cannot be measured here, check the rest, and tell the session what is to come.

    Returns lines that say what is going to be measured and what is skipped. A HarnessError is
    about what every case needs, a UsageError about what the user named.
    """
    skipped = Counter(filter(None, (_skip_reason(item, session) for item in training)))
    left = [item for item in training if not any(item.iter_markers("skip"))]
    full = [item for item in left if item.get_closest_marker("convergence")]
    params = [_params(item) for item in left]
    sizes = [(p.get("variant"), p["batch_size"]) for p in params if "batch_size" in p]
    session.check(sizes, session.settings.variants)
    session.expect(len(left) - len(full))
    session.planner = functools.partial(planning.plan, left, session)
    lines = [_sentence(session)] if session.planned else []
    if full:
        lines.append(f"full training: {units.plural(len(full), 'test')}, one seed per test")
    return lines + [f"skipped: {units.plural(n, 'test')} ({why})" for why, n in skipped.items()]


def _skip_reason(item: pytest.Item, session: "Session") -> str | None:
    """Skip a test that cannot be measured here, and say why; None when it is measured.

    Before it begins: pytest-benchmark loses all results where a test skips itself.
    """
    for marker in item.iter_markers("skip"):
        return str(marker.kwargs.get("reason", "skipped"))
    params, settings = _params(item), session.settings
    case = session.cases.outline(**{name: params[name] for name in _OF_WORKERS if name in params})
    if (reason := session.cases.unavailable(case)) is not None:
        if case.device == "gpu" and settings.gpu_demanded and case.backend == settings.backend:
            raise pytest.UsageError(f"--train-devices: {reason}")
        item.add_marker(pytest.mark.skip(reason=reason))
        return reason
    lever = params.get("lever", "")
    if (reason := session.cases.unavailable(case, lever)) is None:
        return None
    session.unavailable_levers[lever] = None
    item.add_marker(pytest.mark.skip(reason=f"{lever}: {reason}"))
    return _LEVERS


def _params(item: pytest.Item) -> dict[str, Any]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def _sentence(session: "Session") -> str:
    """Say in one line what is going to be measured, and about how long it takes."""
    settings, planned = session.settings, session.planned
    seconds, protocol = session.expected_seconds(), session.protocol
    limit = settings.max_seconds
    if limit is not None and limit < seconds:
        about = f"blocks and rounds will be dropped to stay near {units.seconds(limit)}"
    else:
        about = f"about {max(1, round(seconds / 60))} min"
    gpu = f", {session.gpu.name}" if "gpu" in settings.devices else ""
    own = settings.dataset == AUTO and any(map(registry.is_own, settings.variants))
    return (
        f"training benchmark: {units.plural(planned, 'test')}, {settings.effort} effort "
        f"({protocols.blocks(protocol)} each), dataset {session.cases.dataset}"
        f"{' (your own models: their own data)' if own else ''}, "
        f"{settings.threads} CPU threads{gpu}; {about}"
    )
