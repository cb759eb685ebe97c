"""The part of a trainer that all backends share: a Keras model, its step, a timed `fit`."""

import abc
import functools
import importlib
import itertools
import math
import os
import statistics
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from harness.errors import BadCase
from harness.records import Case, Fit
from harness.records.lever_declarations import LEVERS
from harness.worker import arithmetic, feeds, work
from harness.workloads.datasets import HELD_BATCHES, Dataset, mapped, samples

_CALLS = 9
_FEWEST = 3  # executions of a `fit` that is ended early
_OPEN_FITS: list["_EpochTimed"] = []


class KerasTrainer(abc.ABC):
    """A model with its train function and a few batches in host memory.

    A step gets the batches as it gets them from `fit`: copying them to the device is part of it.
    The model is compiled; its `jit_compile` and `steps_per_execution` are set to the case's.
    """

    def __init__(self, model: Any, data: Dataset, case: Case) -> None:
        self.traces = 0  # of the step so far; stays 0 where Python runs every step
        self.model = model
        self.data, self.case = data, case
        for lever in LEVERS:
            if lever.argument:  # jit_compile "auto" would look at the devices of the machine
                setattr(model, lever.argument, getattr(case, lever.field or lever.name))
        self.count_traces()
        # The variables of optimizer and metrics, else the first step traces twice.
        build = getattr(model, "_symbolic_build", None)  # Keras has no public name
        if build is not None:
            try:
                build(data_batch=self.data.part(case.batch_size))
            except RuntimeError:  # a model that is never called, but has a step of its own
                if not _has_own_step(model):
                    raise
        model.make_train_function()

    @property
    def stride(self) -> int:
        """Steps per call of the train function: the fewest that can be run."""
        return self.case.steps_per_execution

    def count_traces(self) -> None:
        """Count calls of `train_step`: Python runs a compiled step only to trace it."""
        train_step = self.model.train_step

        @functools.wraps(train_step)  # its name is that of the compiled program
        def counted(*data: Any) -> Any:
            self.traces += 1
            return train_step(*data)

        self.model.train_step = counted

    def stacked(self) -> Any:
        """A few whole batches of inputs, targets and weights: (batches, batch size, …)."""
        size = self.case.batch_size
        count = max(1, min(HELD_BATCHES, samples(self.data.x_train) // size))
        part = self.data.part(count * size)
        return mapped(part, lambda array: array.reshape(count, size, *array.shape[1:]))

    def batches(self) -> list[Any]:
        """The batches of `stacked`, one by one."""
        stacked = self.stacked()
        return [mapped(stacked, itemgetter(i)) for i in range(samples(stacked[0]))]

    def reset(self) -> None:
        """Begin a new mean of the loss."""
        self.model.reset_metrics()

    def calls(self, steps: int) -> "itertools.repeat[None]":
        """One item per call of the train function."""
        return itertools.repeat(None, steps // self.stride)

    @abc.abstractmethod
    def run(self, steps: int) -> float:
        """Train a multiple of `stride` steps, wait for the device; the mean loss since `reset`."""

    @abc.abstractmethod
    def sync(self) -> None:
        """Wait until the device is idle."""

    def fit(self, steps: int, seconds: float) -> Fit:
        """Time one epoch of a real `Model.fit` over a number of whole steps, or the whole set.

        A pipeline may be far slower than the steps: the epoch ends after so many seconds.

        The time is that of the epoch, as in Keras's progress bar, without what `fit` prepares
        before. A smaller last batch is a new shape that is traced once per training; then the
        second epoch is timed, which is like all later ones. The same holds for the shapes that a
        pipeline announces.

        An exception leaves `fit` at the end of that epoch with its input pipeline open: to close
        it, tf.data may wait seconds for its tuning thread (`OptimizeLoop` in
        `tensorflow/core/framework/model.cc` doubles its period each time).
        """
        fed = feeds.feed(self.case, self.data, steps)
        self.trace(fed)
        clock = _epoch_clock(self.sync, seconds)
        try:
            self.model.fit(**fed.arguments, epochs=fed.epochs, verbose=0, callbacks=[clock])
        except _EpochTimed as end:
            _OPEN_FITS.append(end)
        trained = min(fed.samples, clock.executions * self.stride * self.case.batch_size)
        return Fit(
            steps=-(-trained // self.case.batch_size),
            samples=trained,
            seconds=clock.seconds,
            first_step_seconds=clock.first_step_seconds,
            whole_epoch=fed.whole and trained == fed.samples,
            first_steps=self.stride,
            feed=fed.kind,
        )

    def trace(self, fed: feeds.Feed) -> None:
        """Trace the step for the shapes that a feed announces, where a framework does so."""
        return

    def weights_digest(self) -> float:
        """The sum of all weights' magnitudes, which changes when they do."""
        import keras

        weights = self.model.trainable_weights
        return float(sum(abs(keras.ops.convert_to_numpy(w.value)).sum() for w in weights))

    def work(self) -> dict[str, Any]:
        """The fields of `ModelFacts` that `work` counts."""
        macs, source = arithmetic.macs(self.model, self.data.part(1)[0])
        return {
            "macs_per_sample": macs,
            "macs_source": source,
            "parameter_bytes": work.bytes_of(self.model.weights),
            "optimizer_bytes": work.bytes_of(self.model.optimizer.variables),
            "activation_bytes_per_sample": work.activation_bytes(self.model),
            "layout": work.layout(self.model),
        }

    @abc.abstractmethod
    def allreduce(self) -> tuple[float, int]:
        """Median seconds to sum arrays like the trainable weights over replicas, and their bytes.

        Every process calls it equally often.
        """

    @abc.abstractmethod
    def device_name(self) -> str:
        """The device that trains; `cpu` for any CPU."""

    def float32_math(self) -> str | None:
        """How the GPU multiplies float32: `float32` or `TF32`, as set; None on a CPU."""
        if self.case.device == "cpu":
            return None
        if os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":  # NVIDIA's libraries obey it
            return "float32"
        return self.float32_setting()

    @abc.abstractmethod
    def float32_setting(self) -> str:
        """How the framework is set to multiply float32 on a GPU."""

    @abc.abstractmethod
    def reset_peak_memory(self) -> None:
        """Reset the allocator's peak, where the framework can."""

    def peak_memory(self) -> tuple[int | None, str]:
        """The allocator's peak on the GPU in bytes and what it covers, or None and the reason."""
        on_cpu = self.case.device == "cpu"
        return (None, "trained on the CPU") if on_cpu else self.gpu_peak_memory()

    @abc.abstractmethod
    def gpu_peak_memory(self) -> tuple[int | None, str]:
        """The same for a case on a GPU."""

    def program(self) -> str | None:
        """A digest of the compiled step, in which a compiler's choice of kernels shows."""
        return None

    def version(self) -> str:
        """Framework and Keras versions."""
        import keras

        framework = importlib.import_module(self.case.backend)
        return f"{self.case.backend} {framework.__version__}, keras {keras.__version__}"


def median_seconds(call: Callable[[], object]) -> float:
    """The median over a fixed number of calls, after one that is not timed."""
    call()
    times = []
    for _ in range(_CALLS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def _has_own_step(model: Any) -> bool:
    import keras

    return type(model).train_step is not keras.Model.train_step


def loss_in(logs: Any) -> float:
    """Return the loss in what a step reports, and wait for it; infinite or NaN if any part is.

    A model with a `train_step` of its own may report no entry `loss`: then it is the sum of the
    entries whose names hold that word, or of all entries.

    Raises:
        BadCase: the step reports nothing.
    """
    logs = logs or {}
    if "loss" in logs:
        return float(logs["loss"])
    values = {name: float(v) for name, v in logs.items() if math.prod(np.shape(v)) == 1}
    if not values:
        raise BadCase("train_step returns no figures; return a dict with the loss from it")
    named = [value for name, value in values.items() if "loss" in name.lower()]
    return math.fsum(named or values.values())


class _EpochTimed(Exception):
    """The timed epoch has ended."""


def _epoch_clock(sync: Callable[[], None], most_seconds: float) -> Any:
    """A callback that times the latest epoch and its first execution.

    The epoch ends after so many seconds and three executions. A hook at the *end* of batches would
    make Keras sync every step, one at their begin does not
    (`keras/src/callbacks/callback_list.py`). `sync` is called after the first step and the last.
    """
    import keras

    class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        begin = seconds = first_step_seconds = 0.0
        epoch = begun = executions = 0  # executions that have begun, and of the timed epoch

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch, self.begun = epoch, 0
            self.begin = time.perf_counter()

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.begun += 1
            if self.begun == 2:
                sync()
                self.first_step_seconds = time.perf_counter() - self.begin
            elif self.begun > _FEWEST and time.perf_counter() - self.begin > most_seconds:
                self._end(self.begun - 1)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            loss_in(logs)
            self._end(self.begun)

        def _end(self, executions: int) -> None:
            if self.epoch < self.params["epochs"] - 1:
                return
            sync()
            self.seconds = time.perf_counter() - self.begin
            self.executions = executions
            if executions == 1:
                self.first_step_seconds = self.seconds
            raise _EpochTimed

    return EpochClock()
