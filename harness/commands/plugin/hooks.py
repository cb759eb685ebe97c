"""The pytest plugin: options, the `train` fixture, the hooks of pytest-benchmark."""

import contextlib
import functools
import shlex
import shutil
import sys
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, cast

import pytest

from harness.commands import interrupts
from harness.commands.options import options_of, parse
from harness.commands.plugin import parameters
from harness.commands.plugin.fixtures import Climb, Converge, Train, Tune
from harness.errors import HarnessError
from harness.measure.machine.gpu import AnyGpu, count, open_gpu
from harness.worker import backends

if TYPE_CHECKING:
    from rich.console import Console

    from harness.commands.session import Workbench

_OPTIONS = options_of("suites")
_GPU = pytest.StashKey[AnyGpu]()
_WORKBENCH = pytest.StashKey["Workbench"]()
_SUMMARY = pytest.StashKey[Any]()  # what shows the summary on a console
_INTERRUPTED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add every `--train-…` option and its ini key."""
    group = parser.getgroup("training benchmark")
    for option in _OPTIONS:
        group.addoption(f"--train-{option.name}", **option.arguments())
        parser.addini(f"train_{option.key}", option.help, default="")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; check what the user set before anything is collected."""
    config.addinivalue_line(
        "markers",
        f"matrix({', '.join(parameters.MATRIX)}): what a test trains when no option says otherwise",
    )
    config.addinivalue_line(
        "markers",
        "ladder(name, steps): a test of its rungs; steps as in baseline@256,+adam,@1024",
    )
    config.addinivalue_line(
        "markers",
        "convergence: trains in full; only with -m convergence, or when its file is named",
    )
    if any(_given(config).values()):
        _workbench(config)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """On every host of a job but the first: do what that one asks, instead of tests."""
    if config.option.help or config.option.collectonly or hasattr(config, "workerinput"):
        return None
    if not _given(config)["hosts"]:
        return None
    settings = _workbench(config).settings
    hosts = settings.hosts
    if hosts is None or hosts.rank == 0:
        return None
    from harness.commands import run

    print(f"host {hosts.rank} of {hosts.size}: follows {hosts.address} ({hosts.said_by})")  # noqa: T201
    try:
        with interrupts.as_interrupts():
            workers = run.follow(settings, config.stash[_GPU])
    except HarnessError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return int(pytest.ExitCode.TESTS_FAILED)
    except KeyboardInterrupt:
        return int(pytest.ExitCode.INTERRUPTED)
    print(f"host {hosts.rank} of {hosts.size}: {workers} workers trained; the first one reports")  # noqa: T201
    return int(pytest.ExitCode.OK)


def _given(config: pytest.Config) -> dict[str, str | None]:
    """The text of each option, from the command line or the ini file."""
    keys = {option.name: f"train_{option.key}" for option in _OPTIONS}
    return {
        name: config.getoption(key) or str(config.getini(key)) or None for name, key in keys.items()
    }


def _workbench(config: pytest.Config) -> "Workbench":
    """Return the one workbench of this pytest session.

    Raises:
        pytest.UsageError: an option cannot be used.
    """
    if _WORKBENCH not in config.stash:
        from harness.commands.session import Workbench

        gpu = config.stash[_GPU] = open_gpu()
        try:
            settings = parse(_given(config), config.rootpath, gpu, prefix="--train-")
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from error
        if not settings.batch_sizes:
            raise pytest.UsageError("--train-batch-sizes: a search is for `harness run`; name some")
        console = _console(config)
        command = shlex.join(["pytest", *config.invocation_params.args])
        config.stash[_WORKBENCH] = Workbench(settings, gpu, console, command)
    return config.stash[_WORKBENCH]


def _console(config: pytest.Config) -> "Console":
    """Make the console for progress; what the terminal is like is not seen while tests run."""
    from rich.console import Console

    with _uncaptured(config):
        width, terminal = shutil.get_terminal_size().columns, sys.stdout.isatty()
    file = cast("IO[str]", _Terminal(config))
    return Console(file=file, width=width, force_terminal=terminal, soft_wrap=True)


def _uncaptured(config: pytest.Config) -> contextlib.AbstractContextManager[None]:
    """Suspend pytest's capture of output."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return contextlib.nullcontext() if capture is None else capture.global_and_fixture_disabled()


class _Terminal:
    """A file that writes to pytest's terminal, while it captures a test's output."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def write(self, text: str) -> int:
        self._through("write", text)
        return len(text)

    def flush(self) -> None:
        self._through("flush")

    def _through(self, method: str, *arguments: str) -> None:
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is None:
            return
        with _uncaptured(self._config):
            reporter.ensure_newline()  # pytest's dots stand on a line of their own
            getattr(reporter._tw._file, method)(*arguments)  # noqa: SLF001


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `variant`, `batch_size` and the other axes where a test asks for them."""
    if not _trains(metafunc):
        return
    config = metafunc.config
    workbench = _workbench(config)
    for name, axis in parameters.values(
        metafunc, workbench, _given(config), config.stash[_GPU]
    ).items():
        metafunc.parametrize(name, axis, ids=functools.partial(parameters.id_of, name))


def _trains(test: pytest.Metafunc | pytest.Item) -> bool:
    return bool({"train", "converge"} & set(getattr(test, "fixturenames", ())))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what trains in full, unless it was asked for."""
    if "convergence" in (config.option.markexpr or ""):
        return
    root = config.invocation_params.dir
    named = {(root / argument.split("::")[0]).resolve() for argument in config.args}
    left_out = [
        item for item in items if item.get_closest_marker("convergence") and item.path not in named
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Check, before the first case, what every case needs.

    Raises:
        pytest.UsageError: the dataset or the run to resume cannot be used.
    """
    training = [item for item in session.items if _trains(item)]
    if training and not session.config.getoption("collectonly"):
        session.config.add_cleanup(interrupts.install())
        workbench = _workbench(session.config)
        left_out = Counter(filter(None, (_left_out(item, workbench) for item in training)))
        training = [item for item in training if not any(item.iter_markers("skip"))]
        full = [item for item in training if item.get_closest_marker("convergence")]
        workbench.expect(len(training) - len(full))
        params = [_params(item) for item in training]
        sizes = [(p.get("variant"), p["batch_size"]) for p in params if "batch_size" in p]
        try:
            workbench.check(sizes)
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from error
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and not hasattr(session.config, "workerinput"):
            if workbench.planned:
                reporter.write_line(workbench.plan())
            if full:
                tests = "1 test" if len(full) == 1 else f"{len(full)} tests"
                reporter.write_line(f"training in full: {tests}, a seed each")
            for reason, count in left_out.items():
                tests = "1 test" if count == 1 else f"{count} tests"
                reporter.write_line(f"left out: {tests} ({reason})")


def _params(item: pytest.Item) -> dict[str, Any]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def _left_out(item: pytest.Item, workbench: "Workbench") -> str | None:
    """Skip a test whose backend or GPU cannot be used here, unless it was asked for by name.

    Returns:
        Why it is skipped; None when it is not.

    Raises:
        pytest.UsageError: what it needs was asked for.
    """
    for marker in item.iter_markers("skip"):
        return str(marker.kwargs.get("reason", "skipped"))
    settings, params = workbench.settings, _params(item)
    backend = params.get("backend", settings.backend)
    device = params.get("device", settings.devices[0])
    reason = workbench.unavailable(backend, device)
    if reason is None and params.get("replicas", 1) > 1:
        reason = backends.find(backend).undistributed() or _too_few(params["replicas"], device)
    if reason is None and "lever" in params:
        # Before the test begins: pytest-benchmark loses all results where one skips itself.
        reason = workbench.lever_unavailable(params["lever"], backend, device)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=f"{params['lever']}: {reason}"))
            return "levers that cannot be moved here; the table says why"
    if reason is None:
        return None
    if device == "gpu" and settings.gpu_demanded and backend == settings.backend:
        raise pytest.UsageError(f"--train-devices: {reason}")
    item.add_marker(pytest.mark.skip(reason=reason))
    return reason


def _too_few(replicas: int, device: str) -> str | None:
    """Say that there are not so many GPUs; a CPU has as many logical devices as are wanted."""
    there = replicas if device == "cpu" else count()
    return f"{replicas} GPUs are needed, there are {there}" if there < replicas else None


@pytest.fixture
def train(benchmark: Any, request: pytest.FixtureRequest) -> Train:
    """Train a case against a reference and return its `Measurement`.

    Called as `train(variant, batch_size=…, device=…, threads=…,
    reference={…})`; `reference` names what differs in the reference, and
    without it the case is measured against itself; `early_steps` lets both
    sides report the loss after so many. A failed case fails the test. The
    worker's own seconds per step are given to `benchmark`.
    """
    _refuse_workers(request.config)
    return Train(_workbench(request.config), benchmark)


@pytest.fixture
def climb(train: Train) -> Climb:
    """Measure a rung of a ladder and return its `Measurement`.

    Called as `climb(rung, device=…)` by a test with the marker `ladder`.
    """
    return Climb(train)


@pytest.fixture
def tune(train: Train) -> Tune:
    """Try levers on a case.

    `tune.alone(lever, variant, batch_size=…, device=…)` measures one against the plain case,
    `tune.stack(variant, …)` finds the best stack of those and measures that.
    """
    return Tune(train)


@pytest.fixture
def converge(request: pytest.FixtureRequest) -> Converge:
    """Train recipes in full, in turns, and return one `Training` each.

    Called as `converge(seed=…, references={variant: variant})`; a variant
    that names no reference is compared with the first.
    """
    _refuse_workers(request.config)
    workbench, given = _workbench(request.config), _given(request.config)
    marker = request.node.get_closest_marker("matrix")
    says = marker.kwargs if marker else {}
    sizes = workbench.settings.batch_sizes if given["batch-sizes"] else says.get("batch_sizes")
    option = request.config.getoption
    smoke = option("benchmark_disable") and not option("benchmark_enable")
    return Converge(workbench, parameters.variants_of(workbench, says), sizes, smoke=smoke)


def _refuse_workers(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        pytest.fail(
            "training cases cannot be measured side by side; leave out -n (pytest-xdist)",
            pytrace=False,
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the workers and write the files of the run, whatever is shown of it."""
    workbench = session.config.stash.get(_WORKBENCH, None)
    if workbench is None:
        return
    workbench.close()
    try:
        session.config.stash[_SUMMARY] = _summary(workbench)
        session.config.stash[_INTERRUPTED] = exitstatus == pytest.ExitCode.INTERRUPTED
    except HarnessError as error:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        message = str(error)
        session.config.stash[_SUMMARY] = lambda console: console.print(message, style="red")


def _summary(workbench: "Workbench") -> Any:
    """Return what shows the run on a console; None when nothing was measured."""
    written = workbench.write()
    if written is None:
        return None
    from harness.report import console

    return functools.partial(console.show, written=written)


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Show tables, cautions and paths after pytest's own output."""
    show = config.stash.get(_SUMMARY, None)
    if show is not None:
        from rich.console import Console

        console = Console()
        show(console)
        if config.stash.get(_INTERRUPTED, False):
            console.print("Interrupted: the same command with --train-resume measures the rest.")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End all workers, whatever happened."""
    workbench = config.stash.get(_WORKBENCH, None)
    if workbench is not None:
        workbench.close()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Keep only stable keys: a clock frequency would make every run another machine."""
    if _WORKBENCH not in config.stash:
        return
    for key in ("hz_actual", "hz_actual_friendly"):
        machine_info.get("cpu", {}).pop(key, None)
    machine_info["gpu"] = config.stash[_GPU].name
