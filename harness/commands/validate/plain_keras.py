"""Plain Keras, timed as a user would by hand: the script that `against_keras` runs.

Run as `python -m harness.commands.validate.plain_keras VARIANT DATASET BATCH_SIZE`. Of the harness
only the model and the data are imported, so that both sides train the same.

Reads one request per line: `steps N` times N steps, `epoch N` times an epoch of `Model.fit` over N
samples. Each answer is a line with the seconds. A step is a call of the compiled train function
with TensorFlow, and `Model.train_on_batch`, the closest that a user has, with JAX and Torch.
"""

import itertools
import sys
import time
from collections.abc import Callable
from typing import Any

import keras

from harness.workloads import datasets, registry

BATCHES = 8


def main(variant: str, dataset: str, batch_size: int) -> None:
    """Build the model, run the first step, then answer requests."""
    raw: Any = datasets.load(dataset)
    model = registry.find(variant)()
    x, labels = raw.x_train.reshape(-1, 28, 28, 1), raw.y_train
    data: Any = datasets.Dataset(x, keras.utils.to_categorical(labels, 10), x[:0], labels[:0])
    # One epoch with a ragged last batch traces both shapes.
    ragged = batch_size + len(data.x_train) % batch_size
    fit(model, data, batch_size, ragged)
    step = steps_of(model, data, batch_size)
    print("ready", flush=True)
    for line in sys.stdin:
        what, number = line.split()
        if what == "epoch":
            seconds = fit(model, data, batch_size, int(number))
        else:
            begin = time.perf_counter()
            for _ in range(int(number)):
                loss = step()
            float(loss)
            seconds = time.perf_counter() - begin
        print(seconds, flush=True)


def steps_of(model: Any, data: Any, batch_size: int) -> Callable[[], Any]:
    """Return a function that runs one step and returns the loss."""
    count = BATCHES * batch_size
    x, y = data.x_train[:count], data.y_train[:count]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        batches = tf.data.Dataset.from_tensor_slices((x, y))
        iterator = iter(batches.batch(batch_size, drop_remainder=True).cache().repeat())
        step = model.make_train_function() or model.train_function
        return lambda: step(iterator)["loss"]
    starts = range(0, count, batch_size)
    parts = itertools.cycle([(x[i : i + batch_size], y[i : i + batch_size]) for i in starts])
    return lambda: model.train_on_batch(*next(parts))[0]


def fit(model: Any, data: Any, batch_size: int, samples: int) -> float:
    """Train one epoch and return its seconds, from begin to end as in the progress bar."""
    times: list[float] = []

    def note(*_: Any) -> None:
        times.append(time.perf_counter())

    clock = keras.callbacks.LambdaCallback(on_epoch_begin=note, on_epoch_end=note)
    x, y = data.x_train[:samples], data.y_train[:samples]
    model.fit(x, y, batch_size=batch_size, verbose=0, callbacks=[clock])
    begin, end = times
    return end - begin


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
