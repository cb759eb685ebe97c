"""Counters of energy as perf events, which need no root where perf is allowed.

See perf_event_open(2) and `Documentation/ABI/testing/sysfs-bus-event_source-devices-events` of
Linux. Such counters have 64 bits and do not wrap.
"""

import ctypes
import errno
import functools
import os
import platform
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAME = "power"  # of the PMU
_EVENTS: dict[str, Literal["package", "dram"]] = {"energy-pkg": "package", "energy-ram": "dram"}
_SYSTEM_CALLS = {"x86_64": 298, "aarch64": 241}  # perf_event_open
_ATTRIBUTES = struct.Struct("=IIQ96x")  # type, size, config, and all else 0 (112 bytes)
_CLOSE_ON_EXEC = 8


@dataclass(frozen=True, slots=True)
class Event:
    """An event of energy, and the CPUs on which it is read: one of each package."""

    domain: Literal["package", "dram"]
    kind: int  # number of the PMU
    config: int
    unit_joules: float
    cpus: tuple[int, ...]


def events(system: Path) -> Iterator[Event]:
    """Yield the events of packages and memory that the kernel offers."""
    pmu = system / "bus" / "event_source" / "devices" / NAME
    for name, domain in _EVENTS.items():
        try:
            text = (pmu / "events" / name).read_text().strip()  # `event=0x02`
            yield Event(
                domain=domain,
                kind=int((pmu / "type").read_text()),
                config=int(text.partition("=")[2], 0),
                unit_joules=float((pmu / "events" / f"{name}.scale").read_text()),
                cpus=tuple(_numbers((pmu / "cpumask").read_text().strip())),
            )
        except (OSError, ValueError):  # this machine has no such event
            continue


def open_event(event: Event, cpu: int) -> Callable[[], bytes]:
    """Open an event on a CPU; the function that is returned reads its count, see `decode`.

    Raises:
        OSError: perf is not allowed, or not there.
    """
    number = _SYSTEM_CALLS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"perf is not known on {platform.machine()}")
    attributes = _ATTRIBUTES.pack(event.kind, _ATTRIBUTES.size, event.config)
    call = ctypes.CDLL(None, use_errno=True).syscall
    every_process, no_group = -1, -1
    descriptor = call(
        number, ctypes.c_char_p(attributes), every_process, cpu, no_group, _CLOSE_ON_EXEC
    )
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return functools.partial(os.read, descriptor, 8)


def decode(count: bytes) -> int:
    """Return a count as a number."""
    return int.from_bytes(count, sys.byteorder)


def _numbers(text: str) -> Iterator[int]:
    """Read a list of CPUs: `0,8` or `0-3,8`."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
