"""The pytest plugin: options, the `train` fixture, the hooks of pytest-benchmark."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import pytest

from harness import errors
from harness.measure import protocols
from harness.measure.machine import usable_cpus
from harness.measure.runner import Runner, check_case, new_run_id
from harness.records import Case, Failure, Measurement, Outcome
from harness.workloads import datasets, registry

_AXES = {"variant": "variants", "batch_size": "batch_sizes", "device": "devices"}
_OPTIONS: tuple[tuple[str, str | None, str], ...] = (
    ("variants", None, "variants to train: bundled names, file.py:build, pkg.mod:build"),
    ("batch-sizes", None, "batch sizes in samples, for example 256,1024,4096"),
    ("devices", "auto", "auto, cpu, gpu or cpu,gpu"),
    ("threads", None, "CPU threads a worker may use (default: all that it may)"),
    ("backend", "tensorflow", "Keras backend"),
    ("dataset", "auto", "auto, mnist, digits, synthetic or FILE.npz"),
    ("effort", "default", "quick (no verdicts), default or thorough"),
    ("steps", None, "exactly so many steps a round (default: chosen once a case)"),
    ("timeout", "300", "longest silence of a worker, in seconds"),
    ("max-minutes", None, "drop blocks, never cases, to stay under so many minutes"),
    ("output", "results", "folder of results"),
)
_STATE = pytest.StashKey["_State"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add every `--train-…` option and its ini key."""
    group = parser.getgroup("training benchmark")
    for name, default, text in _OPTIONS:
        shown = f" (default: {default})" if default else ""
        group.addoption(f"--train-{name}", metavar=name.upper(), help=text + shown)
        parser.addini(_ini(name), text, default=default or "")
    group.addoption(
        "--train-resume",
        nargs="?",
        const="latest",
        metavar="RUN",
        help="go on with an interrupted run (default: the latest)",
    )


def _ini(name: str) -> str:
    return f"train_{name.replace('-', '_')}"


def _option(config: pytest.Config, name: str) -> str | None:
    given = config.getoption(_ini(name))
    value = given if given is not None else config.getini(_ini(name))
    return str(value) if value not in (None, "") else None


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and check the options once, before collection."""
    config.addinivalue_line(
        "markers",
        "matrix(variants, batch_sizes, threads): what a suite trains when no option says otherwise",
    )
    try:
        config.stash[_STATE] = _State(config)
    except errors.HarnessError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `variant`, `batch_size`, `device` and `threads` where a test asks for them."""
    marker = metafunc.definition.get_closest_marker("matrix")
    says = marker.kwargs if marker else {}
    state = metafunc.config.stash[_STATE]
    values: dict[str, list[Any]] = {
        "variant": state.variants or says.get("variants", registry.names()),
        "batch_size": state.batch_sizes or says.get("batch_sizes", [256, 1024, 4096]),
        "device": state.devices,
        "threads": says.get("threads", list(range(1, state.threads + 1))),
    }
    for name, axis in values.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(
                name, axis, ids=[f"{name[0]}{v}" if isinstance(v, int) else v for v in axis]
            )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse pytest-xdist: cases side by side would disturb each other."""
    training = [item for item in items if "train" in getattr(item, "fixturenames", ())]
    if training and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError(
            "training cases cannot be measured side by side; leave out -n (pytest-xdist)"
        )
    config.stash[_STATE].planned = len(training)


@pytest.fixture
def train(benchmark: Any, request: pytest.FixtureRequest) -> "_Train":
    """Train a case against a reference and return its `Measurement`.

    Called as `train(variant, batch_size=…, device=…, threads=…,
    reference={…})`; `reference` names what differs in the reference, and
    without it the case is measured against itself. A failed case fails the
    test. The worker's own seconds per step are given to `benchmark`.
    """
    state = request.config.stash[_STATE]
    return _Train(state, benchmark)


class _Train:
    """What the `train` fixture gives a test."""

    def __init__(self, state: "_State", benchmark: Any) -> None:
        self._state = state
        self._benchmark = benchmark

    def __call__(
        self,
        variant: str,
        *,
        reference: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Measurement:
        try:
            case = self._state.case(variant=variant, **changes)
            other = self._state.case(**{"variant": variant, **changes, **(reference or {})})
            outcome = self._state.measure(case, other, smoke=self._benchmark.disabled)
        except errors.HarnessError as error:
            pytest.fail(str(error), pytrace=False)
        if isinstance(outcome, Failure):
            pytest.fail(f"{outcome.kind}: {outcome.message}", pytrace=False)
        _replay(self._benchmark, outcome)
        return outcome


def _replay(benchmark: Any, measurement: Measurement) -> None:
    """Give the worker's durations to pytest-benchmark, bit for bit.

    The fixture's clock is set to 0 before each round and to the duration by
    the round, so that end - start is the duration itself.
    """
    from harness.records import to_json

    durations = iter([r.seconds / r.steps for r in measurement.rounds if r.role == "case"])
    now = [0.0]

    def reset() -> None:
        now[0] = 0.0

    def advance() -> None:
        now[0] = next(durations, 0.0)

    rounds = sum(r.role == "case" for r in measurement.rounds)
    benchmark._timer = lambda: now[0]  # noqa: SLF001  (there is no public way to set it)
    benchmark.pedantic(advance, setup=reset, rounds=rounds, iterations=1)
    benchmark.extra_info.update(to_json(measurement))


class _State:
    """One pytest session: the checked options and, once measuring, the runner."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.planned = 0
        self.variants = _split(_option(config, "variants"))
        for name in self.variants:
            registry.check(name)
        self.batch_sizes = [
            _positive("batch-sizes", t) for t in _split(_option(config, "batch-sizes"))
        ]
        self.cpus = len(usable_cpus())
        self.threads = _positive("threads", _option(config, "threads") or str(self.cpus))
        if self.threads > self.cpus:
            raise errors.BadCase(
                f"--train-threads {self.threads}: this process may use {self.cpus} CPUs"
            )
        self.devices = _devices(_option(config, "devices") or "auto")
        self.backend = _option(config, "backend") or "tensorflow"
        self.dataset = datasets.resolve(_option(config, "dataset") or "auto")
        steps = _option(config, "steps")
        self.protocol = protocols.choose(
            _option(config, "effort") or "default",
            None if steps is None else _positive("steps", steps),
            float(_option(config, "timeout") or 300),
        )
        self.output = config.rootpath / (_option(config, "output") or "results")
        self.resume = config.getoption("train_resume")
        self._runner: Runner | None = None
        self._launcher: Any = None
        self._log_folder: Any = None
        self._train_samples: int | None = None

    def case(self, **fields: Any) -> Case:
        """Complete a case with what the options say, and check it.

        Raises:
            HarnessError: it cannot be trained.
        """
        known = {f.name for f in dataclasses.fields(Case)}
        unknown = sorted(set(fields) - known)
        if unknown:
            raise errors.BadCase(f"a case has no {', '.join(unknown)}")
        defaults = {
            "dataset": self.dataset,
            "backend": self.backend,
            "device": self.devices[0],
            "threads": self.threads,
            "batch_size": 256,
        }
        case = Case(**{**defaults, **fields})
        registry.check(case.variant)
        if self._train_samples is None:
            self._train_samples = datasets.train_size(self.dataset)
        check_case(case, self._train_samples, self.cpus)
        return case

    def measure(self, case: Case, reference: Case, *, smoke: bool) -> Outcome:
        """Measure, starting the run at the first case."""
        if self._runner is None:
            self._runner = self._start(smoke)
        return self._runner.measure(case, reference)

    def _start(self, smoke: bool) -> Runner:
        from rich.console import Console

        from harness.measure.launcher import Launcher
        from harness.measure.machine import describe
        from harness.report.console import Progress
        from harness.report.runs import locate

        if self.resume:
            folder = locate(self.resume, self.output)
        else:
            folder = self.output / "runs" / new_run_id()
        protocol = self.protocol
        if smoke:  # --benchmark-disable: one short round says that it works
            protocol = dataclasses.replace(
                protocol, effort="quick", blocks=1, steps=1, min_pairs=1, max_pairs=1
            )
        self._log_folder = tempfile.TemporaryDirectory(prefix="harness-")
        self._launcher = Launcher(Path(self._log_folder.name))
        self._launcher.prepare(self.backend)
        console = Console(stderr=True)
        return Runner(folder, protocol, describe(), self._launcher, Progress(console, self.planned))

    def stop(self) -> None:
        """End all workers and keep what was measured."""
        if self._runner is None:
            return
        self._launcher.close()
        self._log_folder.cleanup()
        self._runner.save()
        self._runner.close()

    def report(self, width: int) -> None:
        """Write tables and charts and show the summary."""
        if self._runner is None:
            return
        from rich.console import Console

        from harness.report import console, files

        run = self._runner.run()
        if not run.outcomes:
            return
        tables, paths = files.write(run, self._runner.folder)
        console.show(Console(width=max(100, width)), run, tables, paths)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End all workers, whatever happened."""
    state = config.stash.get(_STATE, None)
    if state is not None:
        state.stop()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the tables, cautions and paths after pytest's own output."""
    state = config.stash[_STATE]
    try:
        state.report(terminalreporter._tw.fullwidth)  # noqa: SLF001
    except errors.HarnessError as error:
        terminalreporter.write_line(str(error), red=True)


def pytest_benchmark_update_machine_info(machine_info: Any) -> None:
    """Keep only stable keys: a clock frequency would make every run another machine."""
    machine_info.get("cpu", {}).pop("hz_actual", None)
    machine_info.get("cpu", {}).pop("hz_actual_friendly", None)


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _positive(name: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise errors.BadCase(f"--train-{name}: {text!r} is not a whole number from 1")
    return value


def _devices(text: str) -> list[str]:
    from harness.measure.gpu import open_gpu

    wanted = _split(text)
    unknown = [name for name in wanted if name not in ("auto", "cpu", "gpu")]
    if unknown:
        raise errors.BadCase(f"--train-devices: no device {unknown[0]!r}; known: auto, cpu, gpu")
    if "gpu" not in wanted and "auto" not in wanted:
        return wanted
    gpu = open_gpu()
    if "gpu" in wanted and gpu.name is None:
        raise errors.BadCase(f"--train-devices {text}: {gpu.reason}")
    if wanted == ["auto"]:
        return ["cpu"] if gpu.name is None else ["cpu", "gpu"]
    return wanted
