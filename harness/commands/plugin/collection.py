"""Which collected tests are measured, which are skipped and why, and the plan of the run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from harness import units
from harness.commands.options import AUTO
from harness.records import protocol as protocols
from harness.workloads import registry

if TYPE_CHECKING:
    from harness.commands.session import Session

_LEVERS = "settings not available on this machine; see the levers table"


def trains(test: pytest.Metafunc | pytest.Item) -> bool:
    """Whether a test measures training."""
    return bool({"train", "converge"} & set(getattr(test, "fixturenames", ())))


def plan(training: Sequence[pytest.Item], session: "Session") -> list[str]:
    """Skip what cannot be measured here and check the rest.

    Args:
        training: The tests that train.
        session: What is to come is set in it.

    Returns:
        Lines that say what is going to be measured and what is skipped.

    Raises:
        HarnessError: something that every case needs cannot be used.
        pytest.UsageError: something that the user named cannot be used.
    """
    skipped = Counter(filter(None, (_skip_reason(item, session) for item in training)))
    left = [item for item in training if not any(item.iter_markers("skip"))]
    full = [item for item in left if item.get_closest_marker("convergence")]
    session.expect(len(left) - len(full))
    session.check(_sizes(left))
    lines = [_sentence(session)] if session.planned else []
    if full:
        lines.append(f"full training: {_tests(len(full))}, one seed per test")
    return lines + [f"skipped: {_tests(count)} ({reason})" for reason, count in skipped.items()]


def _skip_reason(item: pytest.Item, session: "Session") -> str | None:
    """Skip a test that cannot be measured here, before it begins.

    pytest-benchmark loses all results where a test skips itself.

    Returns:
        Why the test is skipped; None when it is not.

    Raises:
        pytest.UsageError: what the test needs was named by the user.
    """
    for marker in item.iter_markers("skip"):
        return str(marker.kwargs.get("reason", "skipped"))
    params, settings = _params(item), session.settings
    fields = {name: params[name] for name in _FIELDS if name in params}
    case = session.cases.outline(**fields)
    reason = session.cases.unavailable(case)
    if reason is not None:
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


_FIELDS = ("backend", "device", "replicas", "hosts")


def _params(item: pytest.Item) -> dict[str, Any]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def _sizes(items: Iterable[pytest.Item]) -> list[tuple[str | None, int]]:
    params = [_params(item) for item in items]
    return [(p.get("variant"), p["batch_size"]) for p in params if "batch_size" in p]


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def _sentence(session: "Session") -> str:
    """Say in one line what is going to be measured, and about how long it takes."""
    settings, planned = session.settings, session.planned
    seconds = protocols.expected_seconds(settings.protocol, planned)
    limit = settings.max_seconds
    if limit is not None and limit < seconds:
        about = f"repeats will be dropped to stay near {units.seconds(limit)}"
    else:
        about = f"about {max(1, round(seconds / 60))} min"
    gpu = f", {session.gpu.name}" if "gpu" in settings.devices else ""
    own = settings.dataset == AUTO and any(map(registry.is_own, settings.variants))
    return (
        f"training benchmark: {_tests(planned)}, {settings.effort} effort "
        f"({settings.protocol.blocks} blocks each), dataset {session.cases.dataset}"
        f"{' (your own models: their own data)' if own else ''}, "
        f"{settings.threads} CPU threads{gpu}; {about}"
    )
