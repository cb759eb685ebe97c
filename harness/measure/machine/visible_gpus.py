"""The GPUs that CUDA and the frameworks see, each asked in a process of its own.

A framework also says why it sees none, and which GPUs its kernels were compiled for.

By default CUDA orders GPUs by speed and NVML by PCI address, and `CUDA_VISIBLE_DEVICES` uses
CUDA's order, so CUDA itself is queried. CUDA cannot be used after a fork, and importing a
framework takes seconds.
"""

import ctypes
import json
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.worker import backends

_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
_CUDA_SECONDS, _FRAMEWORK_SECONDS = 60.0, 300.0
# What frameworks print about a GPU that they cannot use; not what TensorFlow always prints.
_ABOUT_GPUS = re.compile(r"cuda|gpu|nvidia|dlopen|cudnn|libdevice|driver", re.IGNORECASE)
_ALWAYS_PRINTED = re.compile(r"Unable to register|computation placer|port\.cc|cpu_feature_guard")
_LOG_PREFIX = re.compile(r"^.*?\.(?:cc|py):\d+(?:\]|: \w+Warning:)\s*")
_SOURCE = re.compile(r"\s*\(Triggered internally.*")
_MOST_LINES, _LONGEST = 2, 300


class NotListed(Exception):
    """CUDA or a framework could not list its GPUs; the text says why."""


def of_cuda() -> list[str]:
    """List the UUIDs of the devices that CUDA sees, its device 0 first.

    Raises:
        NotListed: there is no driver library, or it fails.
    """
    late, broken = "CUDA did not answer", "CUDA cannot be used"
    found, _ = _asked([], None, _CUDA_SECONDS, late, broken)
    listed: list[str] = found["gpus"]
    return listed


@dataclass(frozen=True, slots=True)
class Seen:
    """What a framework sees.

    Attributes:
        gpus: Their names.
        kernels: Compute capabilities that its build has kernels for, `sm_90`, or a form that the
            driver compiles, `compute_90`; empty if unknown.
        said: What it printed about GPUs, where it sees none.
    """

    gpus: Sequence[str]
    kernels: Sequence[str] = ()
    said: str = ""

    def compiles_first(self, capability: str | None) -> bool:
        """Whether the driver has to compile the build's kernels for a GPU, at the first step.

        Kernels run on GPUs of the same major version and a minor one that is as high or higher;
        those with a letter, `sm_90a`, on that version alone. See NVIDIA's CUDA programming guide,
        "Binary Compatibility".
        """
        if capability is None or not self.kernels:
            return False
        major, minor = map(int, capability.split("."))
        built = (re.fullmatch(r"sm_(\d+)(\d)([a-z]?)", one) for one in self.kernels)
        return not any(
            one
            and int(one[1]) == major
            and (int(one[2]) == minor if one[3] else int(one[2]) <= minor)
            for one in built
        )


def of_framework(backend: str, cuda_device: str | None) -> Seen:
    """Ask a backend's framework which GPUs it sees; see `Backend.environment`.

    Raises:
        NotListed: the framework cannot be imported or fails.
    """
    environment = backends.find(backend).environment("gpu", cuda_device)
    environment["TF_CPP_MIN_LOG_LEVEL"] = "0"  # else TensorFlow hides what it cannot load
    late = f"{backend} did not answer within {_FRAMEWORK_SECONDS:g} s"
    broken = f"importing {backend} failed"
    found, printed = _asked([backend], environment, _FRAMEWORK_SECONDS, late, broken)
    return Seen(found["gpus"], found["kernels"], "" if found["gpus"] else _about_gpus(printed))


def _about_gpus(printed: str) -> str:
    """The last lines that say something of GPUs, without the prefix of a log."""
    lines = (line for line in printed.splitlines() if _ABOUT_GPUS.search(line))
    telling = [_LOG_PREFIX.sub("", line) for line in lines if not _ALWAYS_PRINTED.search(line)]
    telling = [_SOURCE.sub("", line) for line in telling]
    return "; ".join(dict.fromkeys(telling[-_MOST_LINES:]))[:_LONGEST]


def _asked(
    arguments: list[str], env: Mapping[str, str] | None, timeout: float, late: str, broken: str
) -> tuple[dict[str, Any], str]:
    """Run this module in a process of its own: its answer, and what it printed besides.

    `NotListed` says why where it is late or broken.
    """
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
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


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
    found: dict[str, Any]
    if argv:
        backend = backends.find(argv[0])
        found = {"gpus": backend.gpus(), "kernels": backend.kernels()}
    else:
        try:
            found = {"gpus": list_uuids(ctypes.CDLL("libcuda.so.1"))}
        except (OSError, NotListed) as error:
            raise SystemExit(str(error)) from error
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
