"""The GPUs that CUDA sees, in CUDA's own order.

By default CUDA orders GPUs by speed and NVML by PCI address, and `CUDA_VISIBLE_DEVICES` uses
CUDA's order, so CUDA itself is queried. The query runs in a process of its own, because CUDA
cannot be used after a fork.
"""

import ctypes
import json
import subprocess
import sys
import uuid
from typing import Any

_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
_TIMEOUT_SECONDS = 60.0


class CudaUnavailable(Exception):
    """CUDA's driver library cannot be used; the text says why."""


def visible_uuids() -> list[str]:
    """List the UUIDs of the devices that CUDA sees, its device 0 first.

    Raises:
        CudaUnavailable: there is no driver library, or it fails.
    """
    command = [sys.executable, "-m", "harness.measure.machine.cuda"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise CudaUnavailable("CUDA did not answer") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no output"])[-1]
        raise CudaUnavailable(f"CUDA cannot be used: {last}") from error
    found: list[str] = json.loads(done.stdout)
    return found


def list_uuids(library: Any) -> list[str]:
    """Ask `libcuda.so.1`, as ctypes loads it; see `cuDeviceGetUuid` in CUDA's driver API.

    Raises:
        CudaUnavailable: a call fails.
    """
    code = library.cuInit(0)
    if code == _NO_DEVICE:
        return []
    _check(code, "cuInit")
    count = ctypes.c_int()
    _check(library.cuDeviceGetCount(ctypes.byref(count)), "cuDeviceGetCount")
    # The second version names MIG instances, too.
    get_uuid = getattr(library, "cuDeviceGetUuid_v2", None) or library.cuDeviceGetUuid
    found = []
    for ordinal in range(count.value):
        device, raw = ctypes.c_int(), (ctypes.c_ubyte * 16)()
        _check(library.cuDeviceGet(ctypes.byref(device), ordinal), "cuDeviceGet")
        _check(get_uuid(ctypes.byref(raw), device), "cuDeviceGetUuid")
        found.append(f"GPU-{uuid.UUID(bytes=bytes(raw))}")
    return found


def _check(code: int, call: str) -> None:
    if code != 0:
        raise CudaUnavailable(f"{call} failed with {code}")


def main() -> int:
    """Print the list as JSON: `python -m harness.measure.machine.cuda`."""
    try:
        sys.stdout.write(json.dumps(list_uuids(ctypes.CDLL("libcuda.so.1"))) + "\n")
    except (OSError, CudaUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
