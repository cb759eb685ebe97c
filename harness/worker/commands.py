"""The commands of a worker, which trains one case.

A worker answers `inspect`; or `open`, `warm_up`, `round`, `counters`, `product_rate`,
`copy_rate`, `allreduce` and, last, because it leaves its input pipeline open, `fit`; or, for a
full training, `open_training`, `train` and one `next_epoch` per further epoch.
"""

import dataclasses
import math
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.records import Case, Epoch, from_json, to_json
from harness.records.counters import change
from harness.worker import feeds, models, resources, training, work
from harness.worker import warm_up as timing
from harness.worker.backends import find as find_backend
from harness.worker.channel import Channel
from harness.worker.profile.profiler import Profiler
from harness.worker.signature import signature
from harness.worker.user_errors import Rejected
from harness.workloads import datasets, fitting, own_settings

_TRIED_STEPS = 3
_TIMED_STEPS = 16  # to see how many at the beginning are slow
# Until the parameters move: a schedule may begin at a learning rate of 0, updates be accumulated
# over many steps, or skipped while the scale of a loss is found.
_MOST_TRIED_STEPS = 64
_MOST_TRIED_SECONDS = 5.0
# Of a `fit` that waits for its data: times as long as its steps alone, and seconds.
_LONGEST_FIT = 3.0
_LEAST_FIT_SECONDS = 2.0


class Commands:
    """One method per command; each returns the fields of its answer."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._trainer: Any = None
        self._profiler: Profiler | None = None  # of a step that is to be profiled
        self._start: dict[str, Any] = {}
        self._no_data = ""
        self._own_settings: list[str] = []
        self._step_seconds = 0.0  # of the warm-up
        self._traces_before = 0
        self._unmoved: float | None = None  # the weights, if the first step did not move them
        self.on_gpu = False
        self.most_bytes: int | None = None  # that allocations may reach, if limited

    def _prepare(
        self,
        case: Case,
        cpus: list[int],
        group: dict[str, Any] | None = None,
        *,
        small: bool = False,
        whole: bool = False,
        profiled: bool = False,
    ) -> Any:
        """Load, build, and return the trainer, whose first step is still to come.

        A small batch is that of the model where its inputs fix one. The whole data of a pipeline
        is held for a training in full.
        """
        self.on_gpu = case.device == "gpu"
        resources.bind_threads(case.threads, cpus)
        backend = find_backend(case.backend)
        self._phase("import", backend.preload)
        self._profiler = Profiler(case) if profiled else None
        backend.configure(case)
        models.configure(case)
        if group is not None:
            self._phase("joining the other hosts", lambda: backend.join(case, **group))
        if self.on_gpu and not backend.gpus():
            raise Rejected("unsupported", backend.unseen())
        import_rss = resources.high_water_bytes()
        with backend.distributed(case):
            with own_settings.noted() as self._own_settings:
                if case.dataset == datasets.AUTO:
                    case, self._no_data = models.with_own_data(case)
                load_seconds, raw = self._phase("data", lambda: models.load(case, whole=whole))
                build_seconds, model = self._phase("build", lambda: models.build(case, raw))
            given = self._signature = signature(model, case.input_shape)
            if small and given.batch_size is not None:
                case = dataclasses.replace(case, batch_size=given.batch_size)
            fit_seconds, data = self._phase("data", lambda: models.fitted(case, given, raw))
            self._trainer = backend.trainer(model, data, case)
        self._start = {
            "import_rss_bytes": import_rss,
            "data_seconds": load_seconds + fit_seconds,
            "build_seconds": build_seconds,
        }
        return self._trainer

    def open(
        self,
        case: dict[str, Any],
        cpus: list[int],
        memory_bytes: int | None = None,
        early_steps: int | None = None,
        group: dict[str, Any] | None = None,
        *,
        profiled: bool = False,
    ) -> dict[str, Any]:
        """Load, build, run the first execution; `early_steps` report the loss of their second half.

        A group is `rank`, `size` and `address` of the processes that train together. A step that is
        to be profiled is marked.
        """
        if memory_bytes is not None:
            self.most_bytes = memory_bytes
            resources.limit_memory(memory_bytes)
        trainer = self._prepare(from_json(Case, case), cpus, group, profiled=profiled)
        before = trainer.weights_digest()
        if self._profiler:
            self._profiler.begin_step(trainer)
        build_rss = resources.high_water_bytes()
        resources.reset_high_water()
        seconds, loss = self._phase("first step", lambda: trainer.run(trainer.stride))
        _check_finite(loss, "of the first step is")
        if self._profiler:
            self._profiler.end_step(trainer)
        moved = trainer.weights_digest() != before
        self._unmoved = None if moved else before
        facts = self._facts()
        start = {
            **self._start,
            "first_step_seconds": seconds,
            "early_loss": early_steps and self._early_loss(early_steps),
            "early_steps": early_steps,
            "build_rss_bytes": build_rss,
        }
        self._traces_before = trainer.traces
        facts |= {
            **trainer.work(),
            "signature": str(self._signature),
            "backend_version": trainer.version(),
            "initial_loss": loss,
            "parameters_moved": moved,
            "jit": bool(trainer.model.jit_compile),
            "float32_math": trainer.float32_math(),
            "policy": models.policy(),
            "eager": bool(trainer.model.run_eagerly),
            "left_out_samples": trainer.data.left_out,
            "own_settings": self._own_settings,
            **self._pipeline(),
        }
        return {"start": start, "facts": facts}

    def _pipeline(self) -> dict[str, str]:
        """What kind of pipeline the data came from, and why `fit` does not train on it."""
        data = self._trainer.data
        kind = data.pipeline.kind if data.pipeline else ""
        return {"pipeline": kind, "in_memory": feeds.why_in_memory(self._trainer.case, data)}

    def _early_loss(self, steps: int) -> float:
        """Train on from the first execution; the mean loss of the second half of `steps`."""
        trainer = self._trainer
        if rest := steps // 2 - trainer.stride:
            self._phase("early steps", lambda: trainer.run(rest))
        trainer.reset()
        _, loss = self._phase("early steps", lambda: trainer.run(steps // 2))
        _check_finite(loss, f"of the first {steps} steps became")
        return float(loss)

    def _facts(self) -> dict[str, Any]:
        """What a round and a full training both report of a model."""
        model, case = self._trainer.model, self._trainer.case
        device = str(self._trainer.device_name())
        if self.on_gpu and device == "cpu":
            raise Rejected("unsupported", find_backend(case.backend).unseen())
        return {
            "parameters": int(model.count_params()),
            "optimizer": type(model.optimizer).__name__,
            "device_name": device,
            "train_samples": self._trainer.data.epoch_samples,
        }

    def inspect(self, case: dict[str, Any], cpus: list[int], images: str) -> dict[str, Any]:
        """Train a few steps, and choose the data if it is `auto`: `images` where they fit."""
        trainer = self._prepare(from_json(Case, case), cpus, small=True)
        before = trainer.weights_digest()
        losses, times = list[float](), list[float]()
        begin = time.perf_counter()
        still = True
        while len(losses) < _TRIED_STEPS or (
            (still or len(losses) < _TIMED_STEPS)
            and len(losses) < _MOST_TRIED_STEPS
            and time.perf_counter() - begin < _MOST_TRIED_SECONDS
        ):
            step = len(losses) + 1
            seconds, loss = self._phase(f"step {step}", lambda: trainer.run(trainer.stride))
            times.append(seconds)
            _check_finite(loss, f"of step {step} is")
            losses.append(loss)
            still = still and trainer.weights_digest() == before
        if not trainer.model.trainable_weights:  # some models make theirs in the first step
            raise Rejected("error", "the model has no trainable weight, so nothing is trained")
        images_fit = self._no_data and fitting.takes_images(self._signature)
        return {
            "dataset": images if images_fit else trainer.case.dataset,
            "no_data": "" if images_fit else self._no_data,
            "train_samples": self._trainer.data.epoch_samples,
            "signature": str(self._signature),
            "parameters": int(trainer.model.count_params()),
            "losses": losses[:_TRIED_STEPS],
            "slow_steps": timing.slow_steps(times) * trainer.stride,
            "batch_size": self._signature.batch_size,
            "pipeline": self._pipeline()["pipeline"],
        }

    def warm_up(self, seconds: float, floor_seconds: float, floor_steps: int = 0) -> dict[str, Any]:
        """Train untimed until the rate is steady, on several hosts for a fixed number of steps."""
        trainer, clock = self._trainer, time.perf_counter

        def run(calls: int) -> None:
            trainer.run(calls * trainer.stride)

        if trainer.case.hosts > 1:
            warm = timing.warm_up_together(run, clock)
        else:
            calls = -(-floor_steps // trainer.stride)
            warm = timing.warm_up(run, clock, seconds, floor_seconds, calls)
        self._traces_before = trainer.traces
        trainer.reset_peak_memory()
        self._step_seconds = warm.step_seconds / trainer.stride
        return {
            "step_seconds": self._step_seconds,
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
            "moved_later": self._moved_later(),
            "program": self._trainer.program(),
        }

    def _moved_later(self) -> bool | None:
        """Whether the parameters have moved since the first step; None where that moved them."""
        before = self._unmoved
        return None if before is None else bool(self._trainer.weights_digest() != before)

    def product_rate(self, seconds: float) -> dict[str, Any]:
        """See `work.product_rate`; in the precision of the model's computations."""
        model = self._trainer.model
        flops, size = _or_unknown(lambda: work.product_rate(model.compute_dtype, seconds))
        return {"product_flops": flops, "product_size": size}

    def copy_rate(self, seconds: float) -> dict[str, Any]:
        """See `work.copy_rate`."""
        rate, size = _or_unknown(lambda: work.copy_rate(seconds))
        return {"copy_bytes_per_second": rate, "copy_bytes": size}

    def profile(self, path: str | None) -> dict[str, Any]:
        """Trace some steps, and write the trace; see `Profiler.profile`."""
        assert self._profiler is not None
        where = None if path is None else Path(path)
        return self._profiler.profile(self._trainer, self._step_seconds, where)

    def allreduce(self) -> dict[str, Any]:
        """Time the communication of replicas in a step."""
        seconds, size = self._trainer.allreduce()
        return {"allreduce_seconds": seconds, "allreduce_bytes": size}

    def fit(self, steps: int) -> dict[str, Any]:
        """Time a real `Model.fit` of so many steps, or of what it trains in a few times as long."""
        longest = max(_LEAST_FIT_SECONDS, _LONGEST_FIT * steps * self._step_seconds)
        return {"fit": to_json(self._trainer.fit(steps, longest))}

    def open_training(self, case: dict[str, Any], cpus: list[int]) -> dict[str, Any]:
        """Load and build for a full training, without a step."""
        self._prepare(from_json(Case, case), cpus, whole=True)
        test_samples = datasets.samples(self._trainer.data.x_test)
        return {"facts": {**self._facts(), "test_samples": test_samples}}

    def train(self, epochs: int) -> dict[str, Any]:
        """Train all epochs; each but the first waits for `next_epoch`."""
        trainer, data = self._trainer, self._trainer.data
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

        def alive(number: int) -> None:
            self._channel.send(event="progress", phase=f"epoch {number}")

        training.train(trainer, epochs, on_epoch, alive)
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


def _check_finite(loss: float, which: str) -> None:
    if not math.isfinite(loss):
        raise Rejected("diverged", f"the loss {which} {loss}")


def _or_unknown(measured: Callable[[], tuple[float, int]]) -> tuple[float | None, int | None]:
    """A rate and a size; an error, out of memory for example, must not cost the rounds before."""
    try:
        return measured()
    except Exception:
        traceback.print_exc()
        return None, None
