"""Plain Keras, as a user would time it by hand; `against_keras.py` talks to it.

Reads one request a line: `steps N` times N calls of the compiled train
function, `epoch N` times an epoch of `Model.fit` over N samples. Answers each
with the seconds, on a line of its own.
"""

import sys
import time

import keras
import tensorflow as tf

from harness.workloads import datasets, variants

BATCHES = 8


class EpochTime(keras.callbacks.Callback):
    """The time from an epoch's begin to its end, as the progress bar has it."""

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stop the clock."""
        self.seconds = time.perf_counter() - self.begin


def main(variant: str, dataset: str, batch_size: int) -> None:
    """Build, take the first step, then answer requests."""
    data = datasets.load(dataset)
    model = getattr(variants, variant)()
    count = BATCHES * batch_size
    batches = tf.data.Dataset.from_tensor_slices((data.x_train[:count], data.y_train[:count]))
    iterator = iter(batches.batch(batch_size, drop_remainder=True).cache().repeat())
    # One epoch with a ragged last batch traces both shapes.
    ragged = batch_size + len(data.x_train) % batch_size
    fit(model, data, batch_size, ragged)
    step = model.make_train_function() or model.train_function
    print("ready", flush=True)
    for line in sys.stdin:
        what, number = line.split()
        if what == "epoch":
            seconds = fit(model, data, batch_size, int(number))
        else:
            begin = time.perf_counter()
            for _ in range(int(number)):
                logs = step(iterator)
            float(logs["loss"])
            seconds = time.perf_counter() - begin
        print(seconds, flush=True)


def fit(model: keras.Model, data: datasets.Dataset, batch_size: int, samples: int) -> float:
    """Train one epoch and return its seconds."""
    clock = EpochTime()
    model.fit(
        data.x_train[:samples],
        data.y_train[:samples],
        batch_size=batch_size,
        verbose=0,
        callbacks=[clock],
    )
    return clock.seconds


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
