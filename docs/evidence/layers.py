"""How much of a step finds no layer, on which backend and in which model?

Each model is profiled as by `harness profile`; printed are the step, the largest layer, the share
without a layer and the sum of all rows. Run as `python docs/evidence/layers.py`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.analyze.explain import layers
from harness.records import folders

MODELS = {
    "baseline": 256,
    "docs/examples/transformer.py:build": 64,
    "keras.applications:MobileNetV3Small": 16,
}


def main() -> None:
    """Print a line per backend and model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="tensorflow,torch,jax")
    for backend in parser.parse_args().backends.split(","):
        for model, batch in MODELS.items():
            with tempfile.TemporaryDirectory() as name:
                command = [sys.executable, "-m", "harness", "profile", model, "--output", name]
                options = ["--batch-size", str(batch), "--backend", backend, "--devices", "cpu"]
                begin = time.perf_counter()
                done = subprocess.run(
                    [*command, *options], capture_output=True, text=True, check=False
                )
                seconds = time.perf_counter() - begin
                if done.returncode:
                    print(backend, model, done.stdout[-300:], done.stderr[-300:])
                    continue
                (folder,) = Path(name).glob("runs/*")
                (profile,) = folders.read(folder).profiles
            rows = layers.times(profile)
            largest = layers.largest(rows)
            unattributed = next(row for row in rows if row.name == layers.UNATTRIBUTED)
            told = ", ".join(f"{one} {100 * share:.0f} %" for one, share in unattributed.operations)
            print(
                f"{backend} {model} {batch}: {1e3 * layers.step_seconds(profile).value:.0f} "
                f"ms/step, {largest.name} {100 * largest.share.value:.0f} %, unattributed "
                f"{100 * unattributed.share.value:.1f} % ({told}), rows add up to "
                f"{100 * sum(row.share.value for row in rows):.2f} %, {seconds:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
