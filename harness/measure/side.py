"""One side of a block: a worker from its start to its end, and what watches it."""

import dataclasses
import time
from typing import Any
from typing import Protocol as Interface

from harness.measure.launcher import WorkerFailed
from harness.measure.machine.cooling import cool_down
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.sampler import Sampler, disturbance, read_machine
from harness.records import Case, Fit, ModelFacts, Protocol, Role, Round, Start, from_json, to_json
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
        """Import a framework, so that no worker waits for it."""

    def start(self, case: Case, timeout: float) -> Any:
        """Start one fresh worker for a case."""

    def end(self, worker: Any) -> None:
        """End a worker."""


class Seat:
    """A worker of a block; it is started at once.

    Args:
        role: Which side of the block it is.
        case: What it trains.
        launcher: Starts and ends it.
        gpu: From `gpu.open_gpu()`; watched while a case on the GPU trains.
        protocol: How to measure.
    """

    def __init__(
        self, role: Role, case: Case, launcher: AnyLauncher, gpu: AnyGpu, protocol: Protocol
    ) -> None:
        self._role = role
        self._case = case
        self._protocol = protocol
        self.failed = False
        self._launcher = launcher
        on_gpu = case.device == "gpu"
        limit = protocol.cool_down_seconds if on_gpu else 0.0
        self._cool_down_seconds = cool_down(gpu, time.monotonic, time.sleep, limit)
        self._worker: AnyWorker | None = launcher.start(case, protocol.timeout_seconds)
        self.sampler = Sampler(self._worker.pid, gpu if on_gpu else None)
        self._begin = time.perf_counter()
        self._warm: dict[str, Any] = {}
        self._rates: dict[str, Any] = {}
        self._fit: Fit | None = None

    def ask(self, command: Command, **arguments: Any) -> dict[str, Any]:
        """Ask the worker, and remember that it was this one if it fails."""
        assert self._worker is not None  # noqa: S101  (nobody asks one that has left)
        try:
            return self._worker.ask(command, **arguments)
        except WorkerFailed:
            self.failed = True
            raise

    def open(
        self,
        cpus: list[int],
        memory_bytes: int | None = None,
        early_steps: int | None = None,
        seed: int = 0,
    ) -> None:
        """Have the worker build and run its first step.

        Args:
            cpus: Those that it may use.
            memory_bytes: Most memory that it may take.
            early_steps: Steps after which it reports a loss.
            seed: Added to the case's.
        """
        case = dataclasses.replace(self._case, seed=self._case.seed + seed)
        more = {"memory_bytes": memory_bytes, "early_steps": early_steps}
        given = {name: value for name, value in more.items() if value is not None}
        self._opened = self.ask("open", case=to_json(case), cpus=cpus, **given)
        self._ready_seconds = time.perf_counter() - self._begin
        self.facts = from_json(ModelFacts, self._opened["facts"])

    def warm_up(self) -> None:
        """Have the worker train untimed until its rate is steady, a GPU its clocks up."""
        on_gpu = self._case.device == "gpu"
        self._warm = self.ask(
            "warm_up",
            seconds=self._protocol.warm_up_seconds,
            floor_seconds=self._protocol.gpu_round_seconds if on_gpu else 0.0,
        )
        self.step_seconds = float(self._warm.pop("step_seconds"))

    def begin_rounds(self) -> None:
        """Forget what was read so far."""
        self.sampler.begin_rounds()

    def round(self, block: int, pair: int, position: int, steps: int) -> Round:
        """Have the worker time a round; the machine's counters are read around it."""
        before = read_machine()
        answer = self.ask("round", steps=steps)
        answer.update(disturbance(before, read_machine(), answer["cpu_seconds"]))
        return Round(block=block, pair=pair, role=self._role, position=position, **answer)

    def end_rounds(self) -> None:
        """Stop watching, and ask the worker for its counters."""
        self.sampler.stop()
        self._counters = self.ask("counters")

    @property
    def peak_bytes(self) -> int | None:
        """Memory at most, once the rounds have ended: of the device that trained."""
        name = "gpu_memory_bytes" if self._case.device == "gpu" else "peak_rss_bytes"
        peak: int | None = self._counters[name]
        return peak

    def find_rates(self) -> None:
        """Have the worker multiply and copy: what its threads and device can do at best."""
        self._rates |= self.ask("product_rate", seconds=_RATE_SECONDS)
        self._rates |= self.ask("copy_rate", seconds=_RATE_SECONDS)
        if self._case.replicas > 1:
            self._rates |= self.ask("allreduce")

    def fit(self, steps: int) -> None:
        """Have the worker time a `Model.fit` of so many steps, after all its rounds."""
        self._fit = from_json(Fit, self.ask("fit", steps=steps)["fit"])

    def start(self, block: int) -> Start:
        """Collect all that is known of this worker."""
        return Start(
            role=self._role,
            block=block,
            ready_seconds=self._ready_seconds,
            fit=self._fit,
            cool_down_seconds=self._cool_down_seconds,
            usage=self.sampler.usage(),
            **self._opened["start"],
            **self._warm,
            **self._counters,
            **self._rates,
        )

    def leave(self) -> None:
        """End worker and sampler; a second call does nothing."""
        self.sampler.stop()
        if self._worker is not None:
            self._launcher.end(self._worker)
            self._worker = None
