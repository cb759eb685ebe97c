"""The commands of a worker, which trains one case.

A worker answers `inspect`; or `open`, `warm_up`, `round`, `counters`, `product_rate`,
`copy_rate`, `allreduce` and, last, because it leaves its input pipeline open, `fit`; or, for a
full training, `open_training`, `train` and one `next_epoch` per further epoch.
"""

import contextlib
import math
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from harness.records import Case, Epoch, from_json, to_json
from harness.records.counters import change
from harness.worker import models, resources, training, work
from harness.worker import warm_up as timing
from harness.worker.backends import find as find_backend
from harness.worker.channel import Channel
from harness.worker.signature import signature
from harness.worker.user_errors import Rejected
from harness.workloads import datasets, fitting

_TRIED_STEPS = 3  # a schedule may begin at a learning rate of 0


class Commands:
    """One method per command; each returns the fields of its answer.

    Attributes:
        most_bytes: Memory that allocations may reach, if limited.
        on_gpu: Whether the case trains on a GPU.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._trainer: Any = None
        self._data: Any = None
        self._data_seconds = self._build_seconds = 0.0
        self._import_rss = 0
        self._no_data = ""
        self._traces_before = 0
        self.on_gpu = False
        self.most_bytes: int | None = None

    def _prepare(self, case: Case, cpus: list[int], group: dict[str, Any] | None = None) -> Any:
        """Load, build, and return the trainer."""
        self.on_gpu = case.device == "gpu"
        resources.bind_threads(case.threads, cpus)
        backend = find_backend(case.backend)
        self._phase("import", backend.preload)
        backend.configure(case)
        models.configure(case)
        if group is not None:
            self._phase("joining the other hosts", lambda: backend.join(case, **group))
        if case.device == "gpu" and not backend.gpus():
            raise Rejected("unsupported", backend.unseen())
        self._import_rss = resources.high_water_bytes()
        if case.dataset == datasets.AUTO:
            case, self._no_data = models.with_own_data(case)
        self._data_seconds, raw = self._phase("data", lambda: models.load(case))
        with backend.distributed(case):
            self._build_seconds, model = self._phase("build", lambda: models.build(case, raw))
            self._signature = signature(model, case.input_shape)
            seconds, self._data = self._phase(
                "data", lambda: models.fitted(case, self._signature, raw)
            )
            self._data_seconds += seconds
            self._trainer = backend.trainer(model, self._data, case)
        return self._trainer

    def open(
        self,
        case: dict[str, Any],
        cpus: list[int],
        memory_bytes: int | None = None,
        early_steps: int | None = None,
        group: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Load, build, run the first execution.

        Args:
            case: What is trained.
            cpus: Usable ones.
            memory_bytes: Limit of memory.
            early_steps: Steps after which the mean loss of their second half is reported.
            group: `rank`, `size` and `address` of the processes that train together.
        """
        if memory_bytes is not None:
            self.most_bytes = memory_bytes
            resources.limit_memory(memory_bytes)
        trainer = self._prepare(from_json(Case, case), cpus, group)
        model = trainer.model
        before = trainer.weights_digest()
        build_rss = resources.high_water_bytes()
        resources.reset_high_water()
        first_step_seconds, loss = self._phase("first step", lambda: trainer.run(trainer.stride))
        _check_finite(loss, "of the first step is")
        moved = trainer.weights_digest() != before
        device = _device_name(trainer)
        early_loss = early_steps and self._early_loss(early_steps)
        self._traces_before = trainer.traces
        return {
            "start": {
                "data_seconds": self._data_seconds,
                "build_seconds": self._build_seconds,
                "first_step_seconds": first_step_seconds,
                "early_loss": early_loss,
                "early_steps": early_steps,
                "import_rss_bytes": self._import_rss,
                "build_rss_bytes": build_rss,
            },
            "facts": {
                "parameters": int(model.count_params()),
                **trainer.work(),
                "optimizer": type(model.optimizer).__name__,
                "train_samples": self._data.epoch_samples,
                "signature": str(self._signature),
                "device_name": device,
                "backend_version": trainer.version(),
                "initial_loss": loss,
                "parameters_moved": moved,
                "jit": bool(model.jit_compile),
                "float32_math": trainer.float32_math(),
            },
        }

    def _early_loss(self, steps: int) -> float:
        """Train on from the first execution; the mean loss of the second half of `steps`."""
        trainer = self._trainer
        if rest := steps // 2 - trainer.stride:
            self._phase("early steps", lambda: trainer.run(rest))
        trainer.reset()
        _, loss = self._phase("early steps", lambda: trainer.run(steps // 2))
        _check_finite(loss, f"of the first {steps} steps became")
        return float(loss)

    def inspect(self, case: dict[str, Any], cpus: list[int], images: str) -> dict[str, Any]:
        """Train a few steps of a small batch, and choose the data.

        Args:
            case: Its dataset may be `auto`.
            cpus: Usable ones.
            images: The dataset for a model of 28×28 images.
        """
        trainer = self._prepare(from_json(Case, case), cpus)
        before = trainer.weights_digest()
        losses = []
        for step in range(1, _TRIED_STEPS + 1):
            _, loss = self._phase(f"step {step}", lambda: trainer.run(trainer.stride))
            _check_finite(loss, f"of step {step} is")
            losses.append(loss)
        if trainer.weights_digest() == before:
            raise Rejected(
                "error",
                f"the parameters did not move in {_TRIED_STEPS} steps: check that layers are "
                "trainable, the loss depends on them and the learning rate is not 0",
            )
        images_fit = self._no_data and fitting.takes_images(self._signature)
        return {
            "dataset": images if images_fit else trainer.case.dataset,
            "no_data": "" if images_fit else self._no_data,
            "train_samples": self._data.epoch_samples,
            "signature": str(self._signature),
            "parameters": int(trainer.model.count_params()),
            "losses": losses,
        }

    def warm_up(self, seconds: float, floor_seconds: float) -> dict[str, Any]:
        """Train untimed until the rate is steady, on several hosts for a fixed number of steps."""
        trainer, clock = self._trainer, time.perf_counter

        def run(calls: int) -> None:
            trainer.run(calls * trainer.stride)

        if trainer.case.hosts > 1:
            warm = timing.warm_up_together(run, clock)
        else:
            warm = timing.warm_up(run, clock, seconds, floor_seconds)
        self._traces_before = trainer.traces
        trainer.reset_peak_memory()
        return {
            "step_seconds": warm.step_seconds / trainer.stride,
            "warm_up_steps": warm.steps * trainer.stride,
            "steady": warm.steady,
        }

    def round(self, steps: int) -> dict[str, Any]:
        """Time a number of steps; counters are read outside the timed part."""
        self._trainer.reset()
        before = resources.read_counters()
        start = time.perf_counter()
        loss = self._trainer.run(steps)
        seconds = time.perf_counter() - start
        counted = change(before, resources.read_counters())
        _check_finite(loss, "became")
        return {"steps": steps, "seconds": seconds, "loss": loss, **counted}

    def counters(self) -> dict[str, Any]:
        """Report the totals after the rounds."""
        gpu_memory, source = self._trainer.peak_memory()
        return {
            "peak_rss_bytes": resources.high_water_bytes(),
            "traces": self._trainer.traces - self._traces_before,
            "gpu_memory_bytes": gpu_memory,
            "gpu_memory_source": source,
        }

    def product_rate(self, seconds: float) -> dict[str, Any]:
        """See `work.product_rate`; in the precision of the model's computations."""
        with _rounds_stay():
            flops, size = work.product_rate(self._trainer.model.compute_dtype, seconds)
            return {"product_flops": flops, "product_size": size}
        return {"product_flops": None, "product_size": None}

    def copy_rate(self, seconds: float) -> dict[str, Any]:
        """See `work.copy_rate`."""
        with _rounds_stay():
            rate, size = work.copy_rate(seconds)
            return {"copy_bytes_per_second": rate, "copy_bytes": size}
        return {"copy_bytes_per_second": None, "copy_bytes": None}

    def allreduce(self) -> dict[str, Any]:
        """Time the communication of replicas in a step."""
        seconds, size = self._trainer.allreduce()
        return {"allreduce_seconds": seconds, "allreduce_bytes": size}

    def fit(self, steps: int) -> dict[str, Any]:
        """Time a real `Model.fit`."""
        return {"fit": to_json(self._trainer.fit(steps))}

    def open_training(self, case: dict[str, Any], cpus: list[int]) -> dict[str, Any]:
        """Load and build for a full training, without a step."""
        trainer = self._prepare(from_json(Case, case), cpus)
        return {
            "facts": {
                "parameters": int(trainer.model.count_params()),
                "optimizer": type(trainer.model.optimizer).__name__,
                "device_name": _device_name(trainer),
                "train_samples": self._data.epoch_samples,
                "test_samples": len(datasets.leaves(self._data.x_test)[0]),
            }
        }

    def train(self, epochs: int) -> dict[str, Any]:
        """Train all epochs; each but the first waits for `next_epoch`."""
        trainer, data = self._trainer, self._data
        begin = resources.read_counters()
        last: dict[str, Any] = {}

        def on_epoch(epoch: Epoch) -> None:
            nonlocal begin, last
            _check_finite(epoch.loss, f"of epoch {epoch.epoch} is")
            last = to_json(epoch)
            if epoch.epoch < epochs:
                counted = change(begin, resources.read_counters())
                self._channel.send(event="answer", epoch={**last, **counted})
                if (asked := self._channel.receive()["command"]) != "next_epoch":
                    raise ValueError(f"a training answers next_epoch only, not {asked}")
                begin = resources.read_counters()

        training.train(
            trainer.model,
            data,
            trainer.case.batch_size,
            epochs,
            trainer.sync,
            on_epoch,
            lambda number: self._channel.send(event="progress", phase=f"epoch {number}"),
        )
        mistakes = training.mistakes(trainer.model, data.x_test, data.y_test)
        return {
            "mistakes": to_json(mistakes),
            "image_shape": training.image_shape(data.x_test),
            "epoch": {**last, **change(begin, resources.read_counters())},
        }

    def _phase(self, name: str, task: Callable[[], Any]) -> tuple[float, Any]:
        """Seconds and result of a part of a command; the parent gets its name."""
        self._channel.send(event="progress", phase=name)
        start = time.perf_counter()
        result = task()
        return time.perf_counter() - start, result


def _device_name(trainer: Any) -> str:
    """The device that trains; a CPU in place of a GPU is an error."""
    name = str(trainer.device_name())
    if trainer.case.device == "gpu" and name == "cpu":
        raise Rejected("unsupported", find_backend(trainer.case.backend).unseen())
    return name


def _check_finite(loss: float, which: str) -> None:
    if not math.isfinite(loss):
        raise Rejected("diverged", f"the loss {which} {loss}")


@contextlib.contextmanager
def _rounds_stay() -> Iterator[None]:
    """Log an error after the rounds, out of memory for example, which must not cost them."""
    try:
        yield
    except Exception:
        traceback.print_exc()
