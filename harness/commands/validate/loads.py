"""Models with a known load, for TensorFlow: a number of bytes or of busy threads.

A worker builds them by name, like a user's model.
"""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

BALLAST_BYTES = 512 * 2**20
THREADS = {1: "one_thread", 2: "two_threads", 4: "four_threads"}
_SPIN_SECONDS = 0.25
_BUFFER = bytes(2**18)
_HELD: list[Any] = []


def plain() -> Any:
    """A model of a few weights."""
    return _compiled()


def ballast() -> Any:
    """The same model in a process that holds `BALLAST_BYTES` more."""
    import numpy as np

    _HELD.append(np.ones(BALLAST_BYTES, np.uint8))  # written, so that its pages are resident
    return plain()


def one_thread() -> Any:
    """A model whose step keeps one thread busy; its loss is the CPU time used."""
    return _busy(1)


def two_threads() -> Any:
    """The same with two threads."""
    return _busy(2)


def four_threads() -> Any:
    """The same with four threads."""
    return _busy(4)


def _compiled(kind: Any = None) -> Any:
    import keras

    inputs = keras.Input((4,))
    model = (kind or keras.Model)(inputs, keras.layers.Dense(2)(inputs))
    model.compile("sgd", "mse")
    return model


def _busy(threads: int) -> Any:
    import keras
    import tensorflow as tf

    class Busy(keras.Model):  # type: ignore[misc]  # Keras has no types
        def train_step(self, _data: Any) -> Any:
            used = tf.numpy_function(lambda: _spin(threads), [], tf.float64)
            self._loss_tracker.update_state(tf.reshape(used, ()))
            return {"loss": self._loss_tracker.result()}

    return _compiled(Busy)


def _spin(threads: int) -> float:
    """Keep threads busy for a while and return the CPU seconds that they used.

    hashlib releases the interpreter's lock while it hashes.
    """
    deadline = time.perf_counter() + _SPIN_SECONDS

    def hash_on(_: int) -> float:
        begin = time.thread_time()
        while time.perf_counter() < deadline:
            hashlib.sha256(_BUFFER).digest()
        return time.thread_time() - begin

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(hash_on, range(threads)))
