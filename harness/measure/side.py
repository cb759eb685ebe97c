"""One worker of a block from its start to its end, and the sampler that watches it."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from typing import Protocol as Interface

from harness.measure.machine.cooling import Cooling
from harness.measure.machine.energy import Meter
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.host_state import HostState, read_host_state
from harness.measure.machine.sampler import Sampler, disturbance, read_machine
from harness.records import (
    Case,
    Fit,
    Measurement,
    ModelFacts,
    Protocol,
    Round,
    Start,
    from_json,
    to_json,
)
from harness.worker.channel import Command

_RATE_SECONDS = 0.1


class AnyWorker(Interface):
    """What a block needs of a worker."""

    pid: int
    spawned_instead: bool  # by a new interpreter, though workers are forked

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
    """What every measurement of a run is made with."""

    protocol: Protocol
    launcher: AnyLauncher
    gpu: AnyGpu
    meter: Meter = Meter()  # of the energy of the CPUs
    cooling: Cooling = field(default_factory=Cooling)  # of the GPU; anew for each block
    cpus: list[int] = field(default_factory=usable_cpus)  # numbers of those that a worker may use
    slow_steps: Mapping[str, int] = field(default_factory=dict)  # by variant; see `Inspected`
    is_decided: Callable[[Measurement], bool] = lambda _: False  # at a look; see `Group`
    is_hopeless: Callable[[Measurement], bool] = lambda _: False  # after a first block
    read_host_state: Callable[[], HostState] = read_host_state  # around each block and epoch


@dataclass(eq=False)
class Side:
    """A worker of a block and the sampler that watches it; made by `Side.start`.

    Attributes:
        facts: Of the model, once it is open.
        step_seconds: Of the warm-up.
    """

    worker: AnyWorker
    sampler: Sampler
    _case: Case
    _setup: Setup
    _found: dict[str, Any]  # fields of `Start`
    facts: ModelFacts = field(init=False)
    step_seconds: float = field(init=False)
    _ended: bool = field(default=False, init=False)
    _begin: float = field(default_factory=time.perf_counter, init=False)

    @classmethod
    def start(cls, case: Case, setup: Setup) -> Self:
        """Wait until a GPU is as cool as before the first worker, then start worker and sampler.

        Raises:
            WorkerFailed: the worker could not be started.
        """
        protocol, gpu = setup.protocol, setup.gpu if case.device == "gpu" else None
        waited = 0.0
        if gpu is not None:
            waited = setup.cooling.wait(gpu, protocol.cool_down_seconds)
        worker = setup.launcher.start(case, protocol.timeout_seconds)
        sampler = Sampler(worker.pid, gpu)
        sampler.start()
        found = {"cool_down_seconds": waited, "spawned": worker.spawned_instead}
        return cls(worker, sampler, case, setup, found)

    def _ask(self, command: Command, **arguments: Any) -> dict[str, Any]:
        return self.worker.ask(command, **arguments)

    def open(
        self,
        memory_bytes: int | None = None,
        early_steps: int | None = None,
        seed: int = 0,
        *,
        profiled: bool = False,
    ) -> None:
        """Build the model and run the first step, which is marked if it is to be profiled.

        The worker gets no more memory than given, reports its loss after so many early steps, and
        adds the seed to the case's.
        """
        opened = self._ask(
            "open",
            case=to_json(dataclasses.replace(self._case, seed=self._case.seed + seed)),
            cpus=self._cpus(),
            memory_bytes=memory_bytes,
            early_steps=early_steps,
            **({"profiled": True} if profiled else {}),
        )
        self._found |= {"ready_seconds": time.perf_counter() - self._begin, **opened["start"]}
        self.facts = from_json(ModelFacts, opened["facts"])

    def _cpus(self) -> list[int]:
        """CPUs that the worker may use, in the order in which its threads take them."""
        cpus, gpu = self._setup.cpus, self._setup.gpu
        return gpu.near(cpus) if self._case.device == "gpu" else cpus

    def warm_up(self) -> None:
        """Train untimed until the rate is steady and a GPU has raised its clocks."""
        protocol = self._setup.protocol
        floor = protocol.gpu_round_seconds if self._case.device == "gpu" else 0.0
        warm = self._ask(
            "warm_up",
            seconds=protocol.warm_up_seconds,
            floor_seconds=floor,
            floor_steps=self._setup.slow_steps.get(self._case.variant, 0),
        )
        self.step_seconds = float(warm.pop("step_seconds"))
        self._found |= warm

    def round(self, block: int, pair: int, position: int, steps: int) -> Round:
        """Time a round; the machine's counters are read before and after it.

        A comparison that the worker takes part in gives the round its role.
        """
        meter = self._setup.meter
        before, energy = read_machine(), meter.read()
        answer = self._ask("round", steps=steps)
        answer.update(meter.between(energy, meter.read()))
        answer.update(disturbance(before, read_machine(), answer["cpu_seconds"]))
        return Round(block=block, pair=pair, role="case", position=position, **answer)

    def end_rounds(self) -> None:
        """Stop watching the worker, and read its counters."""
        self.sampler.stop()
        self._found |= self._ask("counters")

    @property
    def peak_bytes(self) -> int | None:
        """Peak memory of the rounds: resident set on the CPU, device memory on a GPU."""
        on_gpu = self._case.device == "gpu"
        peak: int | None = self._found["gpu_memory_bytes" if on_gpu else "peak_rss_bytes"]
        return peak

    def find_rates(self) -> None:
        """Time matrix products and copies: the best that its threads and device can do."""
        self._found |= self._ask("product_rate", seconds=_RATE_SECONDS)
        self._found |= self._ask("copy_rate", seconds=_RATE_SECONDS)
        if self._case.replicas > 1:
            self._found |= self._ask("allreduce")

    def profile(self, path: Path | None) -> dict[str, Any]:
        """Trace some steps, and write the trace to a file."""
        return self._ask("profile", path=path and str(path))

    def fit(self, steps: int) -> Fit:
        """Time a `Model.fit` of so many steps; the last thing that a worker does."""
        fit = self._found["fit"] = from_json(Fit, self._ask("fit", steps=steps)["fit"])
        return fit

    def start_record(self, block: int) -> Start:
        """Return everything observed of this worker outside its rounds."""
        return Start(role="case", block=block, usage=self.sampler.usage(), **self._found)

    def end(self) -> None:
        """End worker and sampler; a second call does nothing."""
        self.sampler.stop()
        if not self._ended:
            self._ended = True
            self._setup.launcher.end(self.worker)
