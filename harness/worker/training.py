"""Full training: epochs and their validations timed apart, mistakes on the test set."""

import base64
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.records import Epoch, Mistake
from harness.worker import feeds
from harness.worker.trainer import KerasTrainer
from harness.workloads.datasets import Array, Arrays, samples

OnEpoch = Callable[[Epoch], None]
Alive = Callable[[int], None]
_ALIVE_SECONDS = 5.0
_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


def train(trainer: KerasTrainer, epochs: int, on_epoch: OnEpoch, alive: Alive) -> None:
    """Run one `Model.fit` over all epochs, shuffled and validated by Keras.

    Without test samples there is no validation. The next epoch begins when `on_epoch` returns.
    `alive` gets the number of the epoch every few seconds.
    """
    data, batch = trainer.data, trainer.case.batch_size
    trainer.model.fit(
        **feeds.arrays(data.part(samples(data.x_train)), batch),
        epochs=epochs,
        verbose=0,
        validation_data=data.test_part() if samples(data.x_test) else None,
        callbacks=[_clock(trainer.sync, on_epoch, alive)],
    )


def _clock(sync: Callable[[], None], on_epoch: OnEpoch, alive: Alive) -> Any:
    """A callback that times epochs and validations with hooks that do not sync steps."""
    import keras

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        begin = train_seconds = validation_begin = validation_seconds = reported = 0.0
        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch + 1
            self.train_seconds = self.validation_seconds = 0.0
            self.begin = self.reported = time.perf_counter()

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            now = time.perf_counter()
            if now - self.reported > _ALIVE_SECONDS:
                self.reported = now
                alive(self.epoch)

        on_test_batch_begin = on_train_batch_begin

        def on_test_begin(self, logs: Any = None) -> None:
            sync()
            self.validation_begin = time.perf_counter()
            self.train_seconds = self.validation_begin - self.begin

        def on_test_end(self, logs: Any = None) -> None:
            self.validation_seconds = time.perf_counter() - self.validation_begin

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            given = logs or {}
            figures: Any = {name: float(given[name]) for name in _FIGURES if name in given}
            if not self.train_seconds:
                sync()
                self.train_seconds = time.perf_counter() - self.begin
            on_epoch(Epoch(epoch + 1, self.train_seconds, self.validation_seconds, **figures))

    return Clock()


def mistakes(model: Any, x: Arrays, y: Arrays) -> tuple[Mistake, ...] | None:
    """List the test samples that a classifier gets wrong; targets are class numbers or one-hot.

    None without test samples, or if the model does not give one number per class.
    """
    label = None if isinstance(y, (dict, tuple)) else _labels(y)
    if label is None:
        return None
    scores = np.asarray(model.predict(x, batch_size=500, verbose=0), np.float64)
    if scores.ndim != 2 or scores.shape[1] < 2 or label.max() >= scores.shape[1]:
        return None
    shares = _probabilities(scores)
    predicted = shares.argmax(axis=1)
    images = x if isinstance(x, np.ndarray) and image_shape(x) else None
    return tuple(
        Mistake(
            sample=int(i),
            label=int(label[i]),
            predicted=int(predicted[i]),
            confidence=round(float(shares[i, predicted[i]]), 6),
            pixels=None if images is None else _pixels(images[i]),
        )
        for i in np.flatnonzero(label != predicted)
    )


def _labels(y: Array) -> Array | None:
    """The class numbers of targets; None without classes or samples."""
    if not len(y):
        return None
    if y.ndim == 1:
        return y if y.dtype.kind in "iu" else None
    rows = y.ndim == 2 and y.shape[1] > 1 and np.all(y.max(axis=1) == 1)
    return y.argmax(axis=1) if rows else None


def _probabilities(scores: Array) -> Array:
    """Probabilities as they are; anything else is taken for logits."""
    if scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def image_shape(x: Arrays) -> tuple[int, int] | None:
    """Height and width of gray images; None for other samples."""
    if isinstance(x, (dict, tuple)) or x.ndim != 4 or x.shape[3] != 1:
        return None
    return (x.shape[1], x.shape[2])


def _pixels(image: Array) -> str:
    """Pack a gray image of 0 … 1 for `Mistake.pixels`."""
    gray = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return base64.b64encode(zlib.compress(gray.tobytes(), 9)).decode()
