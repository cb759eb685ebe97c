"""The only module that reads the energy of CPUs; a `Meter` without counters is a missing one.

Linux counts the joules of each processor package (RAPL, "Running Average Power Limit") under
`/sys/class/powercap`, for AMD as for Intel, or as the perf events of `power_pmu`. A package is
everybody's: what other processes and the idle machine consume is in it. Memory (DRAM) is a domain
of its own; `psys`, the whole board, contains both and is never added to them, nor is the second
copy of the same counters under `intel-rapl-mmio`.
"""

import contextlib
import functools
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.measure.machine import power_pmu
from harness.records import CpuEnergy

Domain = Literal["package", "dram"]
Reading = tuple[bytes | None, ...]  # of each counter; None where it could not be read
_ZONE = re.compile(r"intel-rapl:(\d+)(?::(\d+))?$")
_PACKAGE = re.compile(r"package-(\d+)(?:-die-\d+)?$")
_TEXT_BYTES = 32  # of a counter
_IDLE_SECONDS = 1.0
NONE_HERE = "the kernel has no energy counter here; virtual machines have none"
UDEV = (
    'echo \'SUBSYSTEM=="powercap", RUN+="/bin/chmod a+r /sys%p/energy_uj"\' | '
    "sudo tee /etc/udev/rules.d/70-energy.rules && sudo udevadm control --reload && "
    "sudo udevadm trigger --action=add --subsystem-match=powercap"
)


def _text_number(text: bytes) -> int:
    """Read a number from a file of the kernel's; ValueError for what is none."""
    if not text.endswith(b"\n"):  # read while it was being written
        raise ValueError(text)
    return int(text)


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter of energy.

    Attributes:
        name: As the kernel names its domain: `package-0`.
        domain: What it counts.
        unit_joules: Of one count.
        wraps_at: Number of counts after which the counter begins at 0 again; None: never.
        read: Returns the count as the kernel gives it; raises an OSError where that fails.
        decode: Makes a number of it; raises a ValueError where it is none.
    """

    name: str
    domain: Domain
    unit_joules: float
    wraps_at: int | None
    read: Callable[[], bytes]
    decode: Callable[[bytes], int] = _text_number

    def joules(self, begin: bytes | None, end: bytes | None) -> float | None:
        """Return the energy between two counts.

        None where one could not be read. None, too, where the counter stands still: its driver has
        gone, or does not count this domain.
        """
        if begin is None or end is None:
            return None
        try:
            counts = self.decode(end) - self.decode(begin)
        except ValueError:
            return None
        if self.wraps_at is not None:
            counts %= self.wraps_at
        return counts * self.unit_joules if counts else None


@dataclass(frozen=True, slots=True)
class Meter:
    """Counters of packages and of memory; without a counter, it stands for a missing meter.

    Attributes:
        name: What the counters are read from; None if there are none.
        reason: Why there are none.
        advice: The line that mends it, if one does.
    """

    name: str | None = None
    counters: tuple[Counter, ...] = ()
    reason: str = ""
    advice: str = ""

    def read(self) -> Reading:
        """Read the counters now; some microseconds."""
        found: list[bytes | None] = []
        for counter in self.counters:
            try:
                found.append(counter.read())
            except OSError:
                found.append(None)
        return tuple(found)

    def between(self, before: Reading, after: Reading) -> dict[str, float | None]:
        """Return the joules of packages and of memory between two readings.

        None where a counter could not be read or stands still, or there is none. A counter that
        has wrapped once is right.
        """
        joules: dict[Domain, list[float | None]] = {"package": [], "dram": []}
        for counter, begin, end in zip(self.counters, before, after, strict=True):
            joules[counter.domain].append(counter.joules(begin, end))
        return {f"{domain}_joules": _sum(its) for domain, its in joules.items()}


def _sum(joules: Sequence[float | None]) -> float | None:
    known = [one for one in joules if one is not None]
    return sum(known) if known and len(known) == len(joules) else None


def open_meter(cpus: Collection[int], system: Path = Path("/sys")) -> Meter:
    """Open the counters of the packages of some CPUs; none, with a reason, if they cannot be read.

    Args:
        cpus: Numbers of the CPUs that workers use.
        system: Where the kernel shows itself.
    """
    packages = _packages(cpus, system)
    zones = [*_zones(system, packages)]
    refused = ""
    if zones:
        try:
            return Meter("powercap", tuple(zone.open() for zone in zones))
        except PermissionError as error:
            refused = f"only root may read {error.filename}"
        except OSError as error:
            refused = f"{error.filename} cannot be read ({error.strerror})"
        except ValueError as error:  # a range that is no number
            refused = f"the counters cannot be read ({error})"
    try:
        counters = [*_events(system, packages)]
    except OSError as error:
        refused = refused or f"the perf events of {power_pmu.NAME} are refused ({error.strerror})"
        counters = []
    if counters:
        return Meter("perf", tuple(counters))
    return Meter(reason=refused or NONE_HERE, advice=UDEV if zones else "")


@dataclass(frozen=True, slots=True)
class _Zone:
    """A zone of powercap."""

    folder: Path
    name: str
    domain: Domain

    def open(self) -> Counter:
        """Keep the counter open: reading it then costs a microsecond."""
        wraps_at = int((self.folder / "max_energy_range_uj").read_text())
        path = self.folder / "energy_uj"
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        read = functools.partial(os.pread, descriptor, _TEXT_BYTES, 0)
        try:
            read()  # some can be opened and not read
        except OSError as error:
            os.close(descriptor)
            raise OSError(error.errno, error.strerror, str(path)) from error
        return Counter(self.name, self.domain, 1e-6, wraps_at, read)


def _zones(system: Path, packages: Collection[int] | None) -> Iterator[_Zone]:
    """Yield the zones of packages, and of their memory, in the order of their numbers."""
    found: list[tuple[tuple[int, int], Path]] = []
    with contextlib.suppress(OSError):
        found = [
            ((int(match[1]), int(match[2] or -1)), folder)
            for folder in (system / "class" / "powercap").iterdir()
            if (match := _ZONE.match(folder.name))
        ]
    chosen: set[int] = set()
    for (number, part), folder in sorted(found):
        name = _text(folder / "name")
        package = _PACKAGE.match(name)
        if part < 0 and package and (packages is None or int(package[1]) in packages):
            chosen.add(number)
            yield _Zone(folder, name, "package")
        elif part >= 0 and name == "dram" and number in chosen:
            yield _Zone(folder, f"dram-{number}", "dram")


def _events(system: Path, packages: Collection[int] | None) -> Iterator[Counter]:
    """Yield the perf events of the packages, each read on one CPU of its package."""
    for event in power_pmu.events(system):
        for cpu in event.cpus:
            package = _package_of(cpu, system)
            if packages is None or package is None or package in packages:
                name = f"{event.domain}-{cpu if package is None else package}"
                read = power_pmu.open_event(event, cpu)
                yield Counter(name, event.domain, event.unit_joules, None, read, power_pmu.decode)


def _packages(cpus: Collection[int], system: Path) -> set[int] | None:
    """The numbers of the packages of some CPUs; None where the kernel does not tell."""
    found = {_package_of(cpu, system) for cpu in cpus}
    known = {package for package in found if package is not None}
    return known if known and len(known) == len(found) else None


def _package_of(cpu: int, system: Path) -> int | None:
    path = system / "devices" / "system" / "cpu" / f"cpu{cpu}" / "topology" / "physical_package_id"
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def describe(
    meter: Meter,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> CpuEnergy:
    """Say what a meter counts, and measure for a second what is consumed while nothing trains."""
    if meter.name is None:
        return CpuEnergy(None, meter.reason)
    before, begin = meter.read(), clock()
    sleep(_IDLE_SECONDS)
    joules = meter.between(before, meter.read())
    seconds = clock() - begin
    package, dram = (
        None if (known := joules[name]) is None else known / seconds
        for name in ("package_joules", "dram_joules")
    )
    names = tuple(counter.name for counter in meter.counters)
    return CpuEnergy(meter.name, "", names, package, dram)
