"""The GPUs that CUDA and the frameworks see, each asked in a process of its own.

By default CUDA orders GPUs by speed and NVML by PCI address, and `CUDA_VISIBLE_DEVICES` uses
CUDA's order, so CUDA itself is queried. CUDA cannot be used after a fork, and importing a
framework takes seconds.
"""

import ctypes
import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from typing import Any

from harness.worker import backends

_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
_CUDA_SECONDS, _FRAMEWORK_SECONDS = 60.0, 300.0


class NotListed(Exception):
    """CUDA or a framework could not list its GPUs; the text says why."""


def of_cuda() -> list[str]:
    """List the UUIDs of the devices that CUDA sees, its device 0 first.

    Raises:
        NotListed: there is no driver library, or it fails.
    """
    return _listed([], None, _CUDA_SECONDS, "CUDA did not answer", "CUDA cannot be used")


def of_framework(backend: str, cuda_device: str | None) -> list[str]:
    """List the GPUs that a backend's framework sees, by name; see `Backend.environment`.

    Raises:
        NotListed: the framework cannot be imported or fails.
    """
    environment = backends.find(backend).environment("gpu", cuda_device)
    late = f"{backend} did not answer within {_FRAMEWORK_SECONDS:g} s"
    return _listed([backend], environment, _FRAMEWORK_SECONDS, late, f"importing {backend} failed")


def _listed(
    arguments: list[str], env: Mapping[str, str] | None, timeout: float, late: str, broken: str
) -> list[str]:
    """Run this module in a process of its own; say why if it is late or broken."""
    command = [sys.executable, "-m", "harness.measure.machine.visible_gpus", *arguments]
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=timeout, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise NotListed(late) from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no output"])[-1]
        raise NotListed(f"{broken}: {last}") from error
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def list_uuids(library: Any) -> list[str]:
    """Ask `libcuda.so.1`, as ctypes loads it; see `cuDeviceGetUuid` in CUDA's driver API.

    Raises:
        NotListed: a call fails.
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
        raise NotListed(f"{call} failed with {code}")


def main(argv: list[str]) -> None:
    """Print as JSON what a backend's framework lists, or CUDA if none is named."""
    if argv:
        seen = backends.find(argv[0]).gpus()
    else:
        try:
            seen = list_uuids(ctypes.CDLL("libcuda.so.1"))
        except (OSError, NotListed) as error:
            raise SystemExit(str(error)) from error
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
