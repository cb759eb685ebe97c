"""The pytest plugin: collect, measure (fixtures), write, show."""

import contextlib
import functools
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.commands.interrupts import as_interrupts, to_resume
from harness.commands.options import options_of, parse
from harness.commands.plugin import collection, fixtures, terminal
from harness.commands.plugin.fixtures import Train, Tune
from harness.errors import HarnessError
from harness.measure.machine.open_gpu import open_gpu
from harness.records import Measurement, Training

if TYPE_CHECKING:
    from harness.commands.output import Conclusion
    from harness.commands.session import Session
    from harness.report.files import Written

_OPTIONS = options_of("suites")
_MARKERS = (
    f"matrix({', '.join(collection.MATRIX)}): what a test trains unless an option says so",
    "ladder(name, steps): one test per change of a ladder, as in baseline@256,+adam,@1024",
    "convergence: full training; runs with -m convergence, or if its file is named",
    "keras_examples: the Keras project's example models; runs with -m keras_examples, or if its "
    "file is named",
)
_ON_REQUEST = ("convergence", "keras_examples")  # markers
_SESSION = pytest.StashKey["Session"]()
_INTERRUPTS = pytest.StashKey["_Interrupts"]()
# Text says why no file was written, None that nothing was measured.
_WRITTEN: pytest.StashKey["Written | str | None"] = pytest.StashKey()
_CONCLUSION: pytest.StashKey["Conclusion"] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add every `--train-…` option and its ini key."""
    group = parser.getgroup("training benchmark")
    for option in _OPTIONS:
        group.addoption(f"--train-{option.name}", **option.arguments())
        parser.addini(f"train_{option.key}", option.help, default="")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; check the options before anything is collected."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if any(_given(config).values()):
        _session(config)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Start again where pytest has misread an option; on other hosts than the first, serve it."""
    arguments = list(map(str, config.invocation_params.args))
    if config.inipath is None and (joined := _joined(arguments, config.invocation_params.dir)):
        return pytest.main(joined)
    if config.option.help or config.option.collectonly or hasattr(config, "workerinput"):
        return None
    return _follow(config) if _given(config)["hosts"] else None


def _follow(config: pytest.Config) -> int | None:
    """Serve the first host of a job until its run ends; None on that host itself."""
    hosts = _session(config).settings.hosts
    if hosts is None or hosts.rank == 0:
        return None
    print(f"host {hosts.rank} of {hosts.size}: follows {hosts.address} ({hosts.said_by})")
    try:
        with as_interrupts():
            workers = _session(config).follow()
    except HarnessError as error:
        print(error, file=sys.stderr)
        return int(pytest.ExitCode.TESTS_FAILED)
    except KeyboardInterrupt as error:
        by = error.args[0] if error.args else "Ctrl-C"
        print(f"host {hosts.rank} of {hosts.size}: ended by {by}")
        return int(pytest.ExitCode.INTERRUPTED)
    print(f"host {hosts.rank} of {hosts.size}: {workers} workers trained; the first one reports")
    return int(pytest.ExitCode.OK)


def _joined(arguments: list[str], here: Path) -> list[str]:
    """Join each of our options with its value, if one of these is a folder elsewhere; else empty.

    pytest looks for the ini file before it knows the options of plugins: it takes such a folder for
    one of tests, and looks there.
    """
    ours = {f"--train-{option.name}" for option in _OPTIONS if not option.flag}
    found, rest, elsewhere = [], iter(arguments), False
    for one in rest:
        value = next(rest, None) if one in ours else None
        elsewhere |= value is not None and _is_elsewhere(value, here)
        found.append(one if value is None else f"{one}={value}")
    return found if elsewhere else []


def _is_elsewhere(value: str, here: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):  # too long for a path, or none at all
        there = (here / value).resolve()
        return there.exists() and not there.is_relative_to(here)
    return False


def _given(config: pytest.Config) -> dict[str, str | None]:
    """The text of each option, from the command line or the ini file."""
    keys = {option.name: f"train_{option.key}" for option in _OPTIONS}
    return {name: config.getoption(key) or _text(config.getini(key)) for name, key in keys.items()}


def _text(value: Any) -> str | None:
    """The text of an ini value, whose type in a TOML file may be a list or a number."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return ",".join(map(str, values)) or None


def _session(config: pytest.Config) -> "Session":
    """Return the one session of measurements; UsageError if an option cannot be used."""
    if _SESSION not in config.stash:
        from harness.commands.session import Session

        gpu = open_gpu()
        try:
            settings = parse(_given(config), config.rootpath, gpu, prefix="--train-")
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from error
        if not settings.batch_sizes:
            raise pytest.UsageError("--train-batch-sizes: a search is for `harness run`; name some")
        command = shlex.join(["pytest", *config.invocation_params.args])
        disabled = config.getoption("benchmark_disable", default=False)
        smoke = disabled and not config.getoption("benchmark_enable")
        console = terminal.console(config)
        session = config.stash[_SESSION] = Session(settings, gpu, console, command, smoke=smoke)
        clock = contextlib.ExitStack()
        config.add_cleanup(clock.close)
        clock.enter_context(gpu.locked(settings.lock_clock))
        config.stash[_INTERRUPTS] = _Interrupts()
        config.pluginmanager.register(config.stash[_INTERRUPTS])
        config.add_cleanup(session.close)  # also after an error
    return config.stash[_SESSION]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `variant`, `batch_size` and the other axes where a test names them."""
    if not collection.trains(metafunc):
        return
    config = metafunc.config
    for name, axis in collection.values(metafunc, _session(config)).items():
        metafunc.parametrize(name, axis, ids=functools.partial(collection.id_of, name))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what takes long unless the user has selected it."""
    asked = config.option.markexpr or ""
    markers = [marker for marker in _ON_REQUEST if marker not in asked]
    root = config.invocation_params.dir
    named = {(root / argument.split("::")[0]).resolve() for argument in config.args}
    left_out = [
        item
        for item in items
        if item.path not in named and any(map(item.get_closest_marker, markers))
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Check, before the first case, what every case needs, and print the plan."""
    config = session.config
    training = [item for item in session.items if collection.trains(item)]
    if not training or config.getoption("collectonly"):
        return
    interrupts = contextlib.ExitStack()
    interrupts.enter_context(as_interrupts())
    config.add_cleanup(interrupts.close)
    try:
        lines = collection.plan(training, _session(config))
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        for line in lines:
            reporter.write_line(line)


@pytest.fixture
def train(benchmark: Any, request: pytest.FixtureRequest) -> Train:
    """Train a case against a reference and return its `Measurement`.

    Called as `train(variant, batch_size=…, device=…, threads=…,
    reference={…})`; `reference` names what differs in the reference, and
    without it the case is measured against itself; with `early_steps` both
    sides report their loss after so many steps. A failed case fails the test.
    `benchmark` gets the worker's own seconds per step.
    """
    _refuse_workers(request.config)
    return Train(_session(request.config), benchmark)


@pytest.fixture
def climb(train: Train) -> Callable[..., Measurement]:
    """Measure one change of a ladder and return its `Measurement`.

    Called as `climb(rung, device=…)` by a test with the marker `ladder`.
    """
    return functools.partial(fixtures.climb, train)


@pytest.fixture
def tune(train: Train) -> Tune:
    """Try settings on a case.

    `tune.alone(lever, variant, batch_size=…, device=…)` measures a setting against the plain case,
    `tune.stack(variant, …)` finds the best combination of those settings and measures it.
    """
    return Tune(train)


@pytest.fixture
def converge(request: pytest.FixtureRequest) -> Callable[..., list[Training]]:
    """Run full trainings in turns, and return one `Training` each.

    Called as `converge(seed=…, references={variant: variant})`; a variant
    that names no reference is compared with the first.
    """
    _refuse_workers(request.config)
    session, says = _session(request.config), collection.matrix(request.node)
    settings = session.settings
    sizes = settings.batch_sizes if "batch_sizes" in settings.given else says.get("batch_sizes")
    variants = collection.variants_of(settings, says)
    return functools.partial(fixtures.converge, session, variants, sizes)


def _refuse_workers(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        why = "training cases cannot be measured side by side; leave out -n (pytest-xdist)"
        pytest.fail(why, pytrace=False)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the workers and write the files of the run."""
    stash = session.config.stash
    measured = stash.get(_SESSION, None)
    if measured is None:
        return
    try:
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not (
            session.shouldstop or session.shouldfail
        ):
            from harness.commands.measured import profile_measured

            profile_measured(measured)
            measured.end()
        measured.close()
        written = stash[_WRITTEN] = measured.write()
        if written is not None:
            from harness.commands import output, versions

            conclusion = stash[_CONCLUSION] = versions.conclude(measured.settings, written)
            output.summarize(written, conclusion, measured.settings.summary)
            if conclusion.failed and exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
    except HarnessError as error:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        stash[_WRITTEN] = str(error)


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Show tables, cautions and paths after pytest's own output."""
    written = config.stash.get(_WRITTEN, None)
    if written is None:
        return
    from rich.console import Console

    console = Console(emoji=False)
    if isinstance(written, str):
        console.print(written, style="red")
        return
    from harness.report import console as summary
    from harness.report import formats

    summary.show(console, written, failures=False)
    for line in config.stash[_CONCLUSION].lines:
        formats.say(console, line)


class _Interrupts:
    """A plugin that keeps what has interrupted the session."""

    error: BaseException | None = None

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Called by pytest, without its configuration."""
        self.error = excinfo.value


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last line how an interrupted run is gone on with."""
    error = config.stash[_INTERRUPTS].error if _INTERRUPTS in config.stash else None
    if error is not None and config.stash.get(_WRITTEN, None) is not None:
        print(to_resume(error, "--train-resume", _session(config).settings.resume))


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Keep only stable keys: a clock frequency would make every run another machine."""
    if _SESSION not in config.stash:
        return
    for key in ("hz_actual", "hz_actual_friendly"):
        machine_info.get("cpu", {}).pop(key, None)
    machine_info["gpu"] = config.stash[_SESSION].gpu.name
