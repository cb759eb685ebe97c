"""What every backend's trainer shares: a Keras model, its compiled step, a timed `fit`."""

import abc
import importlib
import itertools
import os
import statistics
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from harness.records import Case, Fit
from harness.records.tuning import LEVERS
from harness.worker import feeds, work
from harness.workloads.datasets import Array, Dataset, leaves, mapped

_MEMORY_BATCHES = 8
_CALLS = 9
_OPEN_FITS: list["_EpochTimed"] = []


class KerasTrainer(abc.ABC):
    """A model with its train function and a few batches in host memory.

    The batches are those that a step gets from `fit`: what a backend does to
    bring them to its device is part of the step.

    Args:
        model: A compiled Keras model; its `jit_compile` is set to the case's.
        data: With the training inputs and targets, as the model takes them.
        case: What is trained.

    Attributes:
        model: The model.
        case: What is trained.
        traces: Times that Python traced the step so far; stays 0 where it is not traced.
    """

    def __init__(self, model: Any, data: Dataset, case: Case) -> None:
        self.traces = 0
        self.model = model
        self._data, self.case = data, case
        for lever in LEVERS:
            if lever.argument:  # jit_compile "auto" would look at the devices of the machine
                setattr(model, lever.argument, getattr(case, lever.field or lever.name))
        self.count_traces()
        self._build_as_fit_does(*self._part(case.batch_size))
        model.make_train_function()

    @property
    def stride(self) -> int:
        """Steps that a call of the train function makes: the least that can be run."""
        return self.case.steps_per_execution

    def count_traces(self) -> None:
        """Python runs `train_step` only while it is traced, where the step is compiled."""
        train_step = self.model.train_step

        def counted(*data: Any) -> Any:
            self.traces += 1
            return train_step(*data)

        self.model.train_step = counted

    def _build_as_fit_does(self, x: Any, y: Any) -> None:
        """Create the variables of optimizer and metrics, else the first step traces twice."""
        build = getattr(self.model, "_symbolic_build", None)  # Keras has no public name for it
        if build is not None:
            build(data_batch=(x, y))

    def _part(self, samples: int) -> tuple[Any, Any]:
        """The first inputs and targets."""
        first = itemgetter(slice(samples))
        return mapped(self._data.x_train, first), mapped(self._data.y_train, first)

    @property
    def _held(self) -> int:
        """Samples in memory; fewer than an epoch has where they were made to fit."""
        return len(leaves(self._data.x_train)[0])

    def stacked(self) -> tuple[Any, Any]:
        """A few whole batches, (batches, batch size, …), of inputs and of targets."""
        size = self.case.batch_size
        count = max(1, min(_MEMORY_BATCHES, self._held // size))
        x, y = self._part(count * size)

        def stack(array: Array) -> Array:
            return array.reshape(count, size, *array.shape[1:])

        return mapped(x, stack), mapped(y, stack)

    def batches(self) -> list[tuple[Any, Any]]:
        """The same, one after the other."""
        x, y = self.stacked()
        numbers = range(len(leaves(x)[0]))
        return [(mapped(x, itemgetter(i)), mapped(y, itemgetter(i))) for i in numbers]

    def reset(self) -> None:
        """Forget the losses so far."""
        self.model.reset_metrics()

    def calls(self, steps: int) -> "itertools.repeat[None]":
        """As many items as calls of the train function make so many steps."""
        return itertools.repeat(None, steps // self.stride)

    @abc.abstractmethod
    def run(self, steps: int) -> float:
        """Train so many steps, a multiple of `stride`, wait, and return the mean loss.

        Waits for the device; the loss is the mean since `reset`.
        """

    @abc.abstractmethod
    def sync(self) -> None:
        """Wait until the device has done all that it was given."""

    def fit(self, steps: int) -> Fit:
        """Time an epoch of a real `Model.fit` over so many whole steps, or the whole set.

        The time is that of the epoch, as Keras's progress bar has it: what
        `fit` prepares before the epoch is not in it. A ragged last batch is a
        new shape that is traced once a training, so then the second epoch,
        which is like all that follow, is the one timed.

        The `fit` is left at the end of that epoch, with its input pipeline
        open: to close it, tf.data may wait until its tuning thread wakes,
        seconds later (`OptimizeLoop` in `tensorflow/core/framework/model.cc`
        doubles its period each time).
        """
        batch = self.case.batch_size
        whole = steps * batch >= self._data.epoch_samples
        samples = self._data.epoch_samples if whole else min(steps, self._held // batch) * batch
        x, y = self._part(samples)
        clock = _epoch_clock(self.sync)
        try:
            self.model.fit(
                **feeds.arguments(self.case.feed, self.case.backend, x, y, batch),
                epochs=2 if samples % (batch * self.stride) else 1,
                verbose=0,
                callbacks=[clock],
            )
        except _EpochTimed as end:
            _OPEN_FITS.append(end)
        return Fit(
            steps=-(-samples // batch),
            samples=samples,
            seconds=clock.seconds,
            first_step_seconds=clock.first_step_seconds,
            whole_epoch=whole,
            first_steps=self.stride,
        )

    def weights_digest(self) -> float:
        """A number that changes when the weights do: the sum of their magnitudes."""
        import keras

        weights = self.model.trainable_weights
        return float(sum(abs(keras.ops.convert_to_numpy(w.value)).sum() for w in weights))

    def work(self) -> dict[str, Any]:
        """Count the model's work: the fields of `ModelFacts` that `work` knows."""
        macs, source = work.macs(self.model)
        return {
            "macs_per_sample": macs,
            "macs_source": source,
            "parameter_bytes": work.bytes_of(self.model.weights),
            "optimizer_bytes": work.bytes_of(self.model.optimizer.variables),
            "activation_bytes_per_sample": work.activation_bytes(self.model),
            "layout": work.layout(self.model),
        }

    def product_rate(self, seconds: float) -> tuple[float, int]:
        """See `work.product_rate`; in the precision that the model computes in."""
        return work.product_rate(self.model.compute_dtype, seconds)

    def copy_rate(self, seconds: float) -> tuple[float, int]:
        """See `work.copy_rate`."""
        return work.copy_rate(seconds)

    @abc.abstractmethod
    def allreduce(self) -> tuple[float, int]:
        """Median seconds to sum arrays like the gradients over all replicas, and their bytes.

        Of the trainable weights' number and sizes, as many times on every process.
        """

    @abc.abstractmethod
    def device_name(self) -> str:
        """The device that trains, `cpu` for any CPU."""

    def float32_math(self) -> str | None:
        """How the GPU multiplies float32: `float32` or `TF32`, as set; None on a CPU."""
        if self.case.device == "cpu":
            return None
        if os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":  # NVIDIA's libraries obey it
            return "float32"
        return self.float32_setting()

    @abc.abstractmethod
    def float32_setting(self) -> str:
        """What the framework itself is set to, on a GPU."""

    @abc.abstractmethod
    def reset_peak_memory(self) -> None:
        """Let the allocator's peak begin again, where the framework can."""

    @abc.abstractmethod
    def peak_memory(self) -> tuple[int | None, str]:
        """The allocator's peak on the GPU in bytes, and what it covers.

        None on a CPU, or when the framework does not say; then the text is the reason.
        """

    def version(self) -> str:
        """Framework and Keras versions."""
        import keras

        backend = self.case.backend
        return (
            f"{backend} {importlib.import_module(backend).__version__}, keras {keras.__version__}"
        )


def median_seconds(call: Callable[[], object]) -> float:
    """The median of a few calls, after one that is not timed; the number does not vary."""
    call()
    times = []
    for _ in range(_CALLS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


class _EpochTimed(Exception):  # noqa: N818  (a way out of `fit`; its frames keep the pipeline)
    """The epoch to be timed has ended."""


def _epoch_clock(sync: Callable[[], None]) -> Any:
    """A callback that times the latest epoch and its first step, or execution of several.

    A hook at the *end* of batches would make Keras sync every step; one at
    their begin does not (`keras/src/callbacks/callback_list.py`).

    Args:
        sync: Waits for the device; called once an epoch, after its first step.
    """
    import keras

    class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        begin = seconds = first_step_seconds = 0.0
        batches = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.batches = 0
            self.begin = time.perf_counter()

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.batches += 1
            if self.batches == 2:
                sync()
                self.first_step_seconds = time.perf_counter() - self.begin

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            float(logs["loss"])
            sync()
            self.seconds = time.perf_counter() - self.begin
            if self.batches == 1:
                self.first_step_seconds = self.seconds
            if epoch == self.params["epochs"] - 1:
                raise _EpochTimed

    return EpochClock()
