"""Several devices: efficiency, communication, and a model of many devices."""

import statistics
from dataclasses import dataclass

from harness.analyze import roles, rounds
from harness.analyze.analysis import Analysis
from harness.records import Measurement, Role

OUTLOOK_DEVICES = (8, 64, 512)


def compared(analysis: Analysis) -> list[Measurement]:
    """List the comparisons of several devices with fewer."""
    return [m for m in analysis.roles.measured if roles.scaling_kind(m.case, m.reference)]


def functional(m: Measurement) -> bool:
    """Whether the devices share CPUs: the run then shows that scaling works, not its speed."""
    return m.case.device == "cpu" and m.facts.machines < m.case.replicas


def step_seconds(m: Measurement, role: Role) -> float:
    """Return the seconds per step of one side, the median over all rounds."""
    return rounds.median_step(r for r in m.rounds if r.role == role)


def allreduce_seconds(m: Measurement) -> float | None:
    """Return the median time of an all-reduce of arrays like the gradients; None if not timed."""
    known = [s.allreduce_seconds for s in m.starts if s.role == "case" and s.allreduce_seconds]
    return statistics.median(known) if known else None


@dataclass(frozen=True, slots=True)
class Projection:
    """A step on a number of devices, by the model of `project`."""

    devices: int
    batch_size: int
    compute_seconds: float
    allreduce_seconds: float
    speedup: float

    @property
    def step_seconds(self) -> float:
        """Compute, then the all-reduce."""
        return self.compute_seconds + self.allreduce_seconds

    @property
    def efficiency(self) -> float:
        """Speedup over the number of devices."""
        return self.speedup / self.devices

    @property
    def cost(self) -> float:
        """Device time per sample over that of one device."""
        return self.devices / self.speedup

    @property
    def device_hours_per_million(self) -> float:
        """Device time per million samples."""
        return self.devices * self.step_seconds / self.batch_size * 1e6 / 3600


def projections(m: Measurement) -> list[Projection]:
    """Project a comparison with one device to the devices it had, and to 8, 64 and 512.

    Logical devices of one process have no link that could be measured: they have none.
    """
    reduce = allreduce_seconds(m)
    linked = m.case.hosts > 1 or m.case.device == "gpu"
    if m.reference.replicas != 1 or not linked or reduce is None:
        return []
    few = m.case.replicas
    counts = [few, *(count for count in OUTLOOK_DEVICES if count >= few)]
    return [project(m, reduce, count) for count in counts]


def project(m: Measurement, reduce: float, count: int) -> Projection:
    """Model a step on `count` devices: compute, then a bandwidth-bound ring all-reduce.

    Compute is the step of one device at its part of the batch: as measured with weak scaling,
    divided by the devices with strong scaling. In a ring each device sends 2 (n-1)/n of the
    bytes of the gradients (Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms
    for clusters of workstations"), so from m measured devices to n the all-reduce grows by
    (n-1)/n over (m-1)/m. The model has no overlap, no latency, no slower links between racks
    and no waiting for the slowest device.
    """
    weak, few = roles.scaling_kind(m.case, m.reference) == "weak", m.case.replicas
    one = step_seconds(m, "reference")
    compute = one if weak else one / count
    ring = reduce * ((count - 1) / count) / ((few - 1) / few)
    batch = m.reference.batch_size * (count if weak else 1)
    speedup = (one / m.reference.batch_size) / ((compute + ring) / batch)
    return Projection(count, batch, compute, ring, speedup)
