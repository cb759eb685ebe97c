"""What was observed of each case, over all comparisons with the case."""

import dataclasses
import functools
import math
from collections.abc import Hashable

from harness.analyze import energy, rounds, stats
from harness.analyze.cautions import Caution
from harness.analyze.devices import gpu
from harness.analyze.roles import Roles
from harness.records import Case, Estimate, GpuUsage, ModelFacts, Round, Start

MIB = 2**20


@dataclasses.dataclass(frozen=True)
class CaseData:
    """All that was observed of one case, as case or as reference."""

    case: Case
    facts: ModelFacts
    steps: list[int]  # of a round, per comparison
    blocks: dict[Hashable, list[Round]]
    starts: list[Start]
    cautions: list[Caution]

    @functools.cached_property
    def step(self) -> Estimate:
        """Seconds per step, over the blocks of every comparison."""
        return stats.log_interval([math.log(seconds) for seconds in self.block_steps])

    @functools.cached_property
    def block_steps(self) -> list[float]:
        """Median seconds per step of each block."""
        return [rounds.median_step(block) for block in self.blocks.values()]

    @functools.cached_property
    def seconds(self) -> float:
        """The time of all rounds together."""
        return rounds.total(self.rounds, "seconds")

    @functools.cached_property
    def rounds(self) -> list[Round]:
        """Those of all blocks."""
        return [a_round for block in self.blocks.values() for a_round in block]

    @functools.cached_property
    def usages(self) -> list[GpuUsage]:
        """Readings of the GPU, per worker that has some."""
        return gpu.usages(self.starts)

    def per_step(self, name: str) -> float:
        """Return the mean of a counter per step of all rounds."""
        return rounds.total(self.rounds, name) / sum(r.steps for r in self.rounds)

    def largest_mib(self, name: str) -> float | None:
        """Return the largest of a size that each worker reports, in MiB."""
        known = [size for s in self.starts if (size := getattr(s, name)) is not None]
        return max(known) / MIB if known else None

    @functools.cached_property
    def gpu_memory_mib(self) -> float | None:
        """Peak of the framework's allocator, else the memory of the device that was in use."""
        allocator, device = self.largest_mib("gpu_memory_bytes"), gpu.memory_bytes(self.usages)
        return allocator if allocator is not None or device.value is None else device.value / MIB

    @functools.cached_property
    def joules_per_sample(self) -> float | None:
        """Energy of the GPU."""
        power = gpu.power_watts(self.usages).value
        return None if power is None else power * (self.step.value / self.case.batch_size)

    @functools.cached_property
    def cpu_joules_per_sample(self) -> Estimate | None:
        """Energy of the processor packages."""
        return energy.per_sample(self.blocks.values(), self.case.batch_size)


def collect(roles: Roles) -> list[CaseData]:
    """Collect what was observed of each case over all of its comparisons.

    In the order in which they were measured, but for the batch sizes of one case.
    """
    found: dict[Case, CaseData] = {}
    for m in roles.measured:
        sides = (m.case, m.facts, m.steps), (m.reference, m.reference_facts, m.reference_steps)
        for case, facts, steps in sides:
            found.setdefault(case, CaseData(case, facts, [], {}, [], [])).steps.append(steps)
        doubts = found[m.case].cautions
        doubts.extend(doubt for doubt in roles.cautions(m) if doubt not in doubts)
    for case, blocks in rounds.workers_of(roles.measured).items():
        data = found[case]
        for block, workers in blocks.items():
            data.blocks[block] = [r for worker in workers for r in worker.rounds]
            data.starts.extend(worker.start for worker in workers)
    first: dict[Case, int] = {}
    for case in found:
        first.setdefault(_any_size(case), len(first))
    return sorted(found.values(), key=lambda d: (first[_any_size(d.case)], d.case.batch_size))


def _any_size(case: Case) -> Case:
    return dataclasses.replace(case, batch_size=0)


def quotient(above: float | None, below: float | None) -> float | None:
    """Divide; None where one of both is missing or nothing."""
    return None if above is None or not below else above / below
