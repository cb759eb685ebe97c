"""Is the cost of a pipeline found? A `tf.data` pipeline that waits a known time per batch.

The same model is measured with pipelines that wait a part or a multiple of the step time, with and
without prefetching. TensorFlow makes the next batch while a step runs, in plain Keras as well, so
only the wait beyond the step time adds to a step; prefetching changes nothing for waits of equal
length. The truth is computed from the time per batch of the pipeline alone. Run as
`python docs/evidence/input_share.py`.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
from harness.report.saved_run import SavedRun

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
BATCH = 64
FILE = """
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SECONDS, PREFETCH = {seconds}, {prefetch}


def build():
    hidden = [layers.Dense(1024, "relu") for _ in range(3)]
    model = keras.Sequential([keras.Input((256,)), *hidden, layers.Dense(10)])
    model.compile("adam", "mse")
    return model


def data():
    def wait(number):
        time.sleep(SECONDS)
        return number

    x = np.random.default_rng(0).random(({batch}, 256), dtype="float32")
    y = np.zeros(({batch}, 10), "float32")

    def batch(number):
        done = tf.py_function(wait, [number], tf.int64)
        with tf.control_dependencies([done]):
            return tf.identity(x), tf.identity(y)

    batches = tf.data.Dataset.range(4000).map(batch)
    batches = batches.map(lambda a, b: (tf.ensure_shape(a, x.shape), tf.ensure_shape(b, y.shape)))
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    return batches.prefetch(1) if PREFETCH else batches.with_options(options)
"""


def write(folder: Path, name: str, seconds: float, *, prefetch: bool) -> Path:
    """Write a model with its pipeline."""
    file = folder / f"{name}.py"
    file.write_text(FILE.format(seconds=seconds, prefetch=prefetch, batch=BATCH))
    return file


def alone(file: Path) -> float:
    """Return the seconds per batch of a pipeline that nobody waits for."""
    code = (
        "import importlib.util, os, time\n"
        f"spec = importlib.util.spec_from_file_location('its', {str(file)!r})\n"
        "its = importlib.util.module_from_spec(spec); spec.loader.exec_module(its)\n"
        "batches = iter(its.data()); next(batches); begin = time.perf_counter()\n"
        "[next(batches) for _ in range(100)]\n"
        "print((time.perf_counter() - begin) / 100, flush=True)\n"
        "os._exit(0)\n"  # at once: the pipeline waits for Python, and Python for the pipeline
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def measured(files: list[Path], folder: Path) -> SavedRun:
    """Measure the models in one run of default effort."""
    names = [f"{file}:build" for file in files]
    command = [sys.executable, "-m", "harness", "run", *names, "--batch-sizes", str(BATCH)]
    subprocess.run([*command, "--output", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return harness.read("latest", folder)


def main() -> None:
    """Measure all delays, and print what was found beside the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = write(folder, "plain", 0.0, prefetch=False)
        first = measured([plain], folder / "first").table("measurements")
        step = statistics.median(first["step_us"]) / 1e6
        print(f"step {1e3 * step:.2f} ms at batch {BATCH}", flush=True)
        files = {
            (factor, prefetch): write(
                folder,
                f"wait_{100 * factor:.0f}_{prefetch}".lower(),
                factor * step,
                prefetch=prefetch,
            )
            for prefetch in (False, True)
            for factor in FACTORS
        }
        begin = time.monotonic()
        run = measured([plain, *files.values()], folder / "second")
        print(f"measured in {time.monotonic() - begin:.0f} s", flush=True)
        found, steps = run.table("bottleneck"), run.table("measurements")
        waits = {factor: alone(files[factor, False]) for factor in FACTORS}
        for (factor, prefetch), file in files.items():
            row = found[found["variant"].str.startswith(file.stem + ".py")].iloc[0]
            own = steps[steps["variant"].str.startswith(file.stem + ".py")].iloc[0]
            truth = max(0.0, waits[factor] / (own["step_us"] / 1e6) - 1)
            interval = f"[{row['input_share_low']:.3f}, {row['input_share_high']:.3f}]"
            print(
                f"wait {factor:g} steps{', prefetched' if prefetch else ''}: truth {truth:.3f}, "
                f"found {row['input_share']:.3f} {interval}, {row['verdict']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
