"""Doubts about a number, each with what to do about it."""

import statistics
from collections.abc import Sequence

from harness.records import Measurement, Round

_STEAL_SHARE = 0.02
_OTHERS_SHARE = 0.10


def of_measurement(measurement: Measurement) -> list[str]:
    """List the cautions of one comparison."""
    found = []
    rounds = measurement.rounds
    wall = sum(r.seconds for r in rounds)
    cpus = max(measurement.case.threads, measurement.reference.threads)
    steal = sum(r.steal_seconds or 0.0 for r in rounds)
    if steal > _STEAL_SHARE * wall * cpus:
        found.append(
            f"the hypervisor took {100 * steal / wall / cpus:.0f} % of the CPU time; "
            "measure again in a quieter hour"
        )
    others = sum(r.other_cpu_seconds or 0.0 for r in rounds)
    if others > _OTHERS_SHARE * wall:
        found.append(
            f"other processes used {others / wall:.2f} CPUs meanwhile; stop them and measure again"
        )
    throttled = sum(r.throttled_seconds or 0.0 for r in rounds)
    if throttled > 0:
        found.append(f"the cgroup's CPU quota stopped it for {throttled:.1f} s; raise the quota")
    if any(start.traces for start in measurement.starts):
        found.append("the step was traced again in timed rounds; fix the shapes of the batches")
    found += _learning(measurement)
    found += _differences(measurement)
    for case, facts in (
        (measurement.case, measurement.facts),
        (measurement.reference, measurement.reference_facts),
    ):
        if case.device == "gpu" and facts.device_name == "cpu":
            found.append("a GPU was asked for and the CPU trained; check the framework's GPU build")
    return found


def _learning(measurement: Measurement) -> list[str]:
    if not measurement.facts.parameters_moved:
        return ["the parameters did not move; check that the layers are trainable"]
    last = _last_losses(measurement.rounds)
    if last and statistics.median(last) >= measurement.facts.initial_loss:
        return ["the loss did not fall; check optimizer and learning rate"]
    return []


def _last_losses(rounds: Sequence[Round]) -> list[float]:
    last: dict[int, float] = {}
    for a_round in rounds:
        if a_round.role == "case":
            last[a_round.block] = a_round.loss
    return list(last.values())


def _differences(measurement: Measurement) -> list[str]:
    """Name what differs besides the axis compared."""
    if measurement.facts.optimizer != measurement.reference_facts.optimizer:
        return [
            f"the optimizer differs too: {measurement.facts.optimizer} "
            f"against {measurement.reference_facts.optimizer}"
        ]
    return []
