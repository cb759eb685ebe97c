"""What does one reading of a GPU cost in NVIDIA's binding and in the harness?

The driver is the library in C of the tests, whose answers take next to nothing. Printed are
microseconds of CPU time per reading of nine values, over batches. Run as
`python docs/evidence/gpu_reading.py`; needs a C compiler.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import nvml

from harness.measure.machine.open_gpu import open_gpu


def main() -> None:
    """Print the median over batches, and the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--readings", type=int, default=2000, help="per batch")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        nvml.Driver(nvml.build(Path(name), nvml.NEWEST), Path(name), patch)
        gpu = open_gpu()
        found = []
        for _ in range(arguments.batches):
            begin = time.process_time()
            for _ in range(arguments.readings):
                gpu.read()
            found.append(1e6 * (time.process_time() - begin) / arguments.readings)
    print(
        f"{statistics.median(found):.1f} µs per reading (at most {max(found):.1f}), "
        f"{arguments.batches} batches of {arguments.readings}"
    )


if __name__ == "__main__":
    main()
