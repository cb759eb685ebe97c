"""TensorFlow through Keras 3: threads, sync, the compiled train function."""

import itertools
import time
from typing import Any

from harness.measure.backends.macs import from_layers
from harness.records import Case, Fit

_MEMORY_BATCHES = 8


def preload() -> None:
    """Import TensorFlow and Keras; their context and pools start in the child."""
    import keras
    import tensorflow as tf

    # Attribute access loads Keras's and TensorFlow's lazy parts before the fork.
    _ = (keras.Model, keras.layers, keras.optimizers, tf.data.Dataset)


def configure(case: Case) -> None:
    """Set threads, precision and seed; must run before the runtime starts."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(case.threads)
    tf.config.threading.set_inter_op_parallelism_threads(case.threads)
    keras.config.set_dtype_policy(case.precision)
    keras.utils.set_random_seed(case.seed)


class _EpochTimed(Exception):  # noqa: N818  (a way out of `fit`; its frames keep the pipeline)
    """The epoch to be timed has ended."""


class Trainer:
    """See `harness.measure.backends.Trainer`."""

    def __init__(self, model: Any, x: Any, y: Any, case: Case) -> None:
        import tensorflow as tf

        self._model = model
        self._x, self._y, self._case = x, y, case
        self.traces = 0
        self._open_fits: list[_EpochTimed] = []
        model.jit_compile = case.jit  # "auto" would look at the devices of the machine
        model.steps_per_execution = 1  # a call of the train function is one step
        self._count_traces()
        self._build_as_fit_does(x[: case.batch_size], y[: case.batch_size])
        model.make_train_function()
        self._iterator = iter(_batches(tf, x, y, case.batch_size))

    def _count_traces(self) -> None:
        """Python runs `train_step` only while TensorFlow traces it."""
        train_step = self._model.train_step

        def counted(data: Any) -> Any:
            self.traces += 1
            return train_step(data)

        self._model.train_step = counted

    def _build_as_fit_does(self, x: Any, y: Any) -> None:
        """Create the variables of optimizer and metrics, else the first step traces twice."""
        build = getattr(self._model, "_symbolic_build", None)  # Keras has no public name for it
        if build is not None:
            build(data_batch=(x, y))

    def reset(self) -> None:
        """Forget the losses so far."""
        self._model.reset_metrics()

    def run(self, steps: int) -> float:
        """Train so many steps, wait for the device, and return the mean loss since `reset`."""
        outputs = None
        for _ in itertools.repeat(None, steps):
            outputs = self._model.train_function(self._iterator)
        assert outputs is not None  # noqa: S101  (steps is at least 1)
        return float(outputs["loss"])  # reading it waits for the device

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
        batch = self._case.batch_size
        whole = steps * batch >= len(self._x)
        samples = len(self._x) if whole else steps * batch
        clock = _epoch_clock()
        try:
            self._model.fit(
                self._x[:samples],
                self._y[:samples],
                batch_size=batch,
                epochs=2 if samples % batch else 1,
                verbose=0,
                callbacks=[clock],
            )
        except _EpochTimed as end:
            self._open_fits.append(end)
        return Fit(
            steps=-(-samples // batch),
            samples=samples,
            seconds=clock.seconds,
            first_step_seconds=clock.first_step_seconds,
            whole_epoch=whole,
        )

    def weights_digest(self) -> float:
        """Sum of the magnitudes of all trainable weights."""
        return float(sum(abs(w.numpy()).sum() for w in self._model.trainable_weights))

    def macs_per_sample(self) -> tuple[int | None, str]:
        """Count multiply-accumulates of a forward pass from the layers."""
        return from_layers(self._model)

    def peak_memory_bytes(self) -> int | None:
        """The allocator's peak on the GPU; None on a CPU."""
        import tensorflow as tf

        if self._case.device == "cpu":
            return None
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])

    def device_name(self) -> str:
        """The device that holds the weights."""
        import tensorflow as tf

        device = self._model.trainable_weights[0].value.device
        kind = "gpu" if "GPU" in device.upper() else "cpu"
        if kind == "cpu":
            return "cpu"
        details = tf.config.experimental.get_device_details(
            tf.config.list_physical_devices("GPU")[0]
        )
        return str(details.get("device_name", "gpu"))

    def version(self) -> str:
        """Framework and Keras versions."""
        import keras
        import tensorflow as tf

        return f"tensorflow {tf.__version__}, keras {keras.__version__}"


def _epoch_clock() -> Any:
    """A callback that times the latest epoch and its first step.

    A hook at the *end* of batches would make Keras sync every step; one at
    their begin does not (`keras/src/callbacks/callback_list.py`).
    """
    import keras

    class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        begin = seconds = first_step_seconds = 0.0
        batches = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.batches = 0
            self.begin = time.perf_counter()

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.batches += 1
            if self.batches == 2:
                self.first_step_seconds = time.perf_counter() - self.begin

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            float(logs["loss"])  # waits for the device
            self.seconds = time.perf_counter() - self.begin
            if self.batches == 1:
                self.first_step_seconds = self.seconds
            if epoch == self.params["epochs"] - 1:
                raise _EpochTimed

    return EpochClock()


def _batches(tf: Any, x: Any, y: Any, batch_size: int) -> Any:
    """Cycle over a few whole batches held as tensors: no thread, no copy of all data."""
    count = max(1, min(_MEMORY_BATCHES, len(x) // batch_size))
    x = x[: count * batch_size].reshape(count, batch_size, *x.shape[1:])
    y = y[: count * batch_size].reshape(count, batch_size, *y.shape[1:])
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    return tf.data.Dataset.from_tensor_slices((x, y)).repeat().with_options(options)
