"""State of the host around a block: clocks, usable CPUs, other runs of this harness."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from harness.measure.machine.cgroup import cpu_quota
from harness.measure.machine.facts import other_runs, usable_cpus
from harness.records import Surroundings


@dataclass(frozen=True, slots=True)
class HostState:
    """State of the host at one moment.

    Attributes:
        cpus: CPUs that this process may use, and the quota.
        slept_seconds: Time suspended since boot; None if no clock measures it.
        wall_offset_seconds: Wall clock minus time since boot; likewise.
    """

    cpus: str
    other_runs: int
    slept_seconds: float | None
    wall_offset_seconds: float | None


def read_host_state(partners: Callable[[], Collection[int]] = tuple) -> HostState:
    """Read the state now; takes some 20 ms, so never call this while something is timed.

    `partners` gives the process ids of the other hosts of a job on this machine.
    """
    boot = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else None
    # The monotonic clock stands still while the machine is suspended, see clock_gettime(2).
    monotonic, wall = time.monotonic(), time.time()
    quota = cpu_quota()
    limit = "" if quota is None else f", quota {quota:g}"
    return HostState(
        cpus=",".join(map(str, usable_cpus())) + limit,
        other_runs=other_runs(partners()),
        slept_seconds=None if boot is None else boot - monotonic,
        wall_offset_seconds=None if boot is None else wall - boot,
    )


def between(block: int, before: HostState, after: HostState) -> Surroundings:
    """Return what changed from one state to the other."""
    return Surroundings(
        block=block,
        cpus_before=before.cpus,
        cpus_after=after.cpus,
        other_runs=max(before.other_runs, after.other_runs),
        suspended_seconds=_change(before.slept_seconds, after.slept_seconds),
        clock_step_seconds=_change(before.wall_offset_seconds, after.wall_offset_seconds),
    )


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
