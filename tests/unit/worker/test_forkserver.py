"""Whether a process has initialized CUDA, told by the driver's own library."""

import subprocess
import sys

import pytest
from nvml import script

ASK = """
import ctypes, os
from harness.worker.forkserver import cuda_is_initialized
{before}
print(cuda_is_initialized())
"""


@pytest.mark.parametrize(
    ("before", "initialized"),
    [
        ("", "False"),
        ("ctypes.CDLL('libcuda.so.1')", "False"),
        ("ctypes.CDLL('libcuda.so.1').cuInit(0)", "True"),
    ],
    ids=["not loaded", "loaded", "initialized"],
)
def test_a_process_knows_whether_it_may_fork_workers(driver, before, initialized):
    """Asking does not initialize it."""
    driver().answer(script())
    command = [sys.executable, "-c", ASK.format(before=before)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [initialized]
