"""A process that does something known on a GPU, through the backend that KERAS_BACKEND names.

`gpu.py` runs it beside its readings. What it does is its first argument: `busy SHARE SECONDS`,
`memory`, `product` or `events STEPS`; its last line on stdout is JSON.
"""

import json
import os
import sys
import time
from typing import Any

BYTES = 2 * 2**30  # of the known allocation
_PERIOD = 0.1  # seconds: of a busy part and a pause
_REPETITIONS = 10


def _wait_for(array: Any) -> None:
    import keras

    float(keras.ops.convert_to_numpy(keras.ops.ravel(array)[0]))


def _timed(matrix: Any, times: int) -> float:
    import keras

    begin = time.perf_counter()
    for _ in range(times):
        product = keras.ops.matmul(matrix, matrix)
    _wait_for(product)
    return time.perf_counter() - begin


def busy(share: float, seconds: float) -> dict[str, float]:
    """Keep the GPU busy for a share of each tenth of a second; the share that was reached."""
    import keras

    matrix = keras.ops.full((2048, 2048), 0.5, dtype="float32")
    _timed(matrix, 3)
    print("ready", flush=True)
    begin, worked = time.perf_counter(), 0.0
    while (now := time.perf_counter()) - begin < seconds:
        while time.perf_counter() - now < share * _PERIOD:
            worked += _timed(matrix, 1)
        time.sleep(max(0.0, now + _PERIOD - time.perf_counter()))
    return {"share": worked / (time.perf_counter() - begin)}


def memory() -> dict[str, int]:
    """Allocate so many bytes after a line on stdin, and hold them until the next one."""
    import keras

    _wait_for(keras.ops.ones((8, 8)))
    print("ready", flush=True)
    sys.stdin.readline()
    held = keras.ops.zeros((BYTES // 4,), dtype="float32")
    _wait_for(held)
    print("ready", flush=True)
    sys.stdin.readline()
    return {"bytes": BYTES}


def product() -> dict[str, float]:
    """The rate that the harness finds, and that of a second of products back to back."""
    import keras

    from harness.worker import work

    rate, size = work.product_rate("float32", 1.0)
    matrix = keras.ops.full((size, size), 0.5, dtype="float32")
    times = max(1, round(rate / (2 * size**3)))
    _timed(matrix, 1)
    return {"found": rate, "known": 2 * size**3 * times / _timed(matrix, times), "size": size}


def events(steps: float) -> dict[str, list[float]]:
    """Seconds of rounds by the clock, and by events on the GPU itself (Torch alone has them)."""
    import numpy as np
    import torch

    from harness.records import Case
    from harness.worker.backends import find
    from harness.workloads.datasets import Dataset
    from harness.workloads.variants import BUNDLED, network

    x = np.random.default_rng(0).random((1024, 28, 28, 1), dtype=np.float32)
    data = Dataset(x, np.eye(10, dtype=np.float32)[np.arange(1024) % 10], x[:0], x[:0])
    backend = find("torch")
    case = Case("improved", "known", 256, backend="torch", device="gpu")
    trainer = backend.trainer(network(**BUNDLED["improved"]), data, case)
    trainer.run(int(steps))
    clock, device = [], []
    for _ in range(_REPETITIONS):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin = time.perf_counter()
        first.record()
        trainer.run(int(steps))
        last.record()
        clock.append(time.perf_counter() - begin)
        torch.cuda.synchronize()
        device.append(first.elapsed_time(last) / 1e3)
    return {"clock": clock, "device": device}


def main() -> None:
    """Do what the arguments say."""
    name, *numbers = sys.argv[1:]
    done = {"busy": busy, "memory": memory, "product": product, "events": events}[name]
    print(json.dumps(done(*map(float, numbers))), flush=True)  # type: ignore[operator]
    os._exit(0)  # no framework's own end


if __name__ == "__main__":
    main()
