"""One side of a block: a worker from its start to its end, and the sampler that watches it."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from typing import Protocol as Interface

from harness.measure.machine.cooling import cool_down
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.host_state import HostState, read_host_state
from harness.measure.machine.sampler import Sampler, disturbance, read_machine
from harness.measure.worker_process import WorkerFailed
from harness.records import (
    Case,
    Fit,
    ModelFacts,
    Protocol,
    Role,
    Round,
    Start,
    Usage,
    from_json,
    to_json,
)
from harness.worker.channel import Command

_RATE_SECONDS = 0.1


class AnyWorker(Interface):
    """What a block needs of a worker."""

    pid: int

    def ask(self, command: Command, **arguments: Any) -> dict[str, Any]:
        """Send a command and return its answer."""


class AnyLauncher(Interface):
    """What a block needs of a launcher."""

    def prepare(self, case: Case, *, wait: bool) -> None:
        """Import the framework of a case; with `wait`, return when it is imported."""

    def start(self, case: Case, timeout: float) -> Any:
        """Start one fresh worker for a case."""

    def end(self, worker: Any) -> None:
        """End a worker."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What every measurement of a run is made with.

    Attributes:
        gpu: From `gpu.open_gpu()`.
        cpus: Numbers of the CPUs that a worker may use.
        read_host_state: Called around each block and each epoch.
    """

    protocol: Protocol
    launcher: AnyLauncher
    gpu: AnyGpu
    cpus: list[int] = field(default_factory=usable_cpus)
    read_host_state: Callable[[], HostState] = read_host_state


class Side:
    """One side of a block: a worker and the sampler that watches it."""

    def __init__(self, role: Role, case: Case, setup: Setup) -> None:
        self.failed = False
        self._role = role
        self._case = case
        self._setup = setup
        self._protocol = setup.protocol
        self._on_gpu = case.device == "gpu"
        self._worker: AnyWorker | None = None
        self._sampler: Sampler | None = None
        self._warm: dict[str, Any] = {}
        self._rates: dict[str, Any] = {}
        self._fit: Fit | None = None

    def start(self) -> Self:
        """Wait for a hot GPU to cool down, then start worker and sampler.

        Raises:
            WorkerFailed: the worker could not be started.
        """
        gpu, limit = self._setup.gpu, self._protocol.cool_down_seconds if self._on_gpu else 0.0
        self._cool_down_seconds = cool_down(gpu, time.monotonic, time.sleep, limit)
        self._worker = self._setup.launcher.start(self._case, self._protocol.timeout_seconds)
        self._sampler = Sampler(self._worker.pid, gpu if self._on_gpu else None)
        self._sampler.start()
        self._begin = time.perf_counter()
        return self

    @property
    def worker(self) -> AnyWorker:
        """The running worker."""
        if self._worker is None:
            raise RuntimeError("the worker has not been started or has ended")
        return self._worker

    def _ask(self, command: Command, **arguments: Any) -> dict[str, Any]:
        try:
            return self.worker.ask(command, **arguments)
        except WorkerFailed:
            self.failed = True
            raise

    def open(
        self,
        memory_bytes: int | None = None,
        early_steps: int | None = None,
        seed: int = 0,
    ) -> None:
        """Build the model and run the first step.

        Args:
            memory_bytes: Memory limit of the worker.
            early_steps: Steps after which the worker reports its loss.
            seed: Added to the case's.
        """
        case = dataclasses.replace(self._case, seed=self._case.seed + seed)
        more = {"memory_bytes": memory_bytes, "early_steps": early_steps}
        given = {name: value for name, value in more.items() if value is not None}
        self._opened = self._ask("open", case=to_json(case), cpus=self._setup.cpus, **given)
        self._ready_seconds = time.perf_counter() - self._begin
        self.facts = from_json(ModelFacts, self._opened["facts"])

    def warm_up(self) -> None:
        """Train untimed until the rate is steady and a GPU has raised its clocks."""
        self._warm = self._ask(
            "warm_up",
            seconds=self._protocol.warm_up_seconds,
            floor_seconds=self._protocol.gpu_round_seconds if self._on_gpu else 0.0,
        )
        self.step_seconds = float(self._warm.pop("step_seconds"))

    def begin_rounds(self) -> None:
        """Discard the readings so far."""
        if self._sampler is not None:
            self._sampler.begin_rounds()

    def round(self, block: int, pair: int, position: int, steps: int) -> Round:
        """Time a round; the machine's counters are read before and after it."""
        before = read_machine()
        answer = self._ask("round", steps=steps)
        answer.update(disturbance(before, read_machine(), answer["cpu_seconds"]))
        return Round(block=block, pair=pair, role=self._role, position=position, **answer)

    def stop_sampler(self) -> None:
        """Stop watching the worker; a second call does nothing."""
        if self._sampler is not None:
            self._sampler.stop()

    def end_rounds(self) -> None:
        """Stop watching the worker, and read its counters."""
        self.stop_sampler()
        self._counters = self._ask("counters")

    @property
    def usage(self) -> Usage | None:
        """What the sampler has read; None if the worker could not be started."""
        return None if self._sampler is None else self._sampler.usage()

    @property
    def last_rss_bytes(self) -> int | None:
        """The latest reading of the worker's resident memory."""
        return None if self._sampler is None else self._sampler.last_rss_bytes

    @property
    def peak_bytes(self) -> int | None:
        """Peak memory of the rounds: resident set on the CPU, device memory on a GPU."""
        peak: int | None = self._counters["gpu_memory_bytes" if self._on_gpu else "peak_rss_bytes"]
        return peak

    def find_rates(self) -> None:
        """Time matrix products and copies: the best that its threads and device can do."""
        self._rates |= self._ask("product_rate", seconds=_RATE_SECONDS)
        self._rates |= self._ask("copy_rate", seconds=_RATE_SECONDS)
        if self._case.replicas > 1:
            self._rates |= self._ask("allreduce")

    def fit(self, steps: int) -> Fit:
        """Time a `Model.fit` of so many steps; the last thing that a worker does."""
        self._fit = from_json(Fit, self._ask("fit", steps=steps)["fit"])
        return self._fit

    def start_record(self, block: int) -> Start:
        """Return everything observed of this worker outside its rounds."""
        return Start(
            role=self._role,
            block=block,
            ready_seconds=self._ready_seconds,
            fit=self._fit,
            cool_down_seconds=self._cool_down_seconds,
            usage=self.usage,
            **self._opened["start"],
            **self._warm,
            **self._counters,
            **self._rates,
        )

    def end(self) -> None:
        """End worker and sampler; a second call does nothing."""
        self.stop_sampler()
        if self._worker is not None:
            self._setup.launcher.end(self._worker)
            self._worker = None
