"""Run → tidy DataFrames, one a table of the interface."""

import dataclasses
import functools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

import pandas as pd

from harness.analyze import cautions, epochs, gpu, published, rounds, stats
from harness.analyze.cautions import Caution
from harness.analyze.once import once
from harness.records import (
    Case,
    Estimate,
    Failure,
    Measurement,
    ModelFacts,
    Role,
    Round,
    Run,
    Start,
    comparison_key,
)

MIB = 2**20

MEASUREMENTS = [
    "case", "variant", "dataset", "batch_size", "device", "device_name", "backend", "threads",
    "optimizer", "precision", "float32_math", "jit", "status", "reason", "parameters",
    "macs_per_sample",
    "macs_source", "steps_per_round", "rounds", "blocks", "step_us", "step_us_low",
    "step_us_high", "sample_us", "samples_per_s", "epoch_s", "epoch_s_low", "epoch_s_high",
    "epoch_s_source", "published_epoch_s", "input_share", "ready_s", "first_step_s",
    "import_rss_mib", "build_rss_mib", "peak_rss_mib", "gpu_memory_mib", "gpu_memory_source",
    "gpu_nvml_memory_mib", "cpu_percent", "gpu_percent", "gpu_readings", "gpu_power_w",
    "gpu_power_source", "joules_per_sample", "gpu_temperature_c", "gpu_sm_clock_mhz",
    "gpu_missing", "loss", "aside", "cautions",
]  # fmt: skip
COUNTS = [
    "parameters", "macs_per_sample", "steps_per_round", "rounds", "blocks", "gpu_readings",
]  # fmt: skip
SPEEDUP = ["speedup", "low", "high", "blocks", "verdict", "smallest_visible", "noise_floor"]
COMPARISONS = {
    "batch_size_speedup": [
        "variant", "backend", "device", "batch_size", "reference", *SPEEDUP, "published",
        "cautions",
    ],
    "model_size_speedup": [
        "variant", "backend", "device", "batch_size", "reference", "parameters", "macs_per_sample",
        "macs_source", "parameter_ratio", "mac_ratio", *SPEEDUP, "published", "cautions",
    ],
    "device_speedup": [
        "variant", "backend", "threads", "batch_size", "device", "device_name", "reference",
        "reference_name", *SPEEDUP,
        "epoch_speedup", "epoch_low", "epoch_high", "published", "cautions",
    ],
    "backend_speedup": [
        "variant", "device", "batch_size", "backend", "jit", "reference", "reference_jit",
        *SPEEDUP, "cautions",
    ],
    "thread_speedup": [
        "variant", "backend", "batch_size", "threads", "reference", "speedup", "low", "high",
        "efficiency",
        "blocks", "verdict", "smallest_visible", "noise_floor", "cautions",
    ],
}  # fmt: skip
AXES = {
    "batch_size_speedup": "batch_size",
    "model_size_speedup": "variant",
    "device_speedup": "device",
    "backend_speedup": "backend",
    "thread_speedup": "threads",
}


@dataclasses.dataclass(frozen=True)
class Side:
    """All that was observed of one case, as case or as reference."""

    case: Case
    facts: ModelFacts
    steps: list[int]  # of a round, a comparison
    blocks: dict[tuple[str, int], list[Round]]
    starts: list[Start]
    cautions: list[Caution]

    @functools.cached_property
    def step(self) -> Estimate:
        """Seconds a step, over the blocks of every comparison."""
        return stats.log_interval([math.log(seconds) for seconds in self.block_steps])

    @functools.cached_property
    def block_steps(self) -> list[float]:
        """Median seconds a step of each block."""
        return [statistics.median(rounds.step_seconds(block)) for block in self.blocks.values()]

    @functools.cached_property
    def seconds(self) -> float:
        """What all of its rounds took together."""
        return rounds.total(self.rounds, "seconds")

    @functools.cached_property
    def rounds(self) -> list[Round]:
        """Those of all blocks."""
        return [a_round for block in self.blocks.values() for a_round in block]


@once
def measurements(run: Run) -> pd.DataFrame:
    """One row a case; blocks of every comparison that it took part in are pooled."""
    rows = {side.case.id: _measured_row(side, run) for side in sides(run)}
    between = aside(run)
    for side in sides(run):
        rows[side.case.id]["aside"] = side.case in between
    for outcome in run.outcomes:
        if isinstance(outcome, Failure):
            failed = {**case_columns(outcome.case), "status": outcome.kind}
            row = rows.setdefault(outcome.case.id, failed)
            reason = f"{outcome.kind}: {outcome.message}"
            if outcome.case != outcome.reference:
                reason = f"against {outcome.reference.id}: {reason}"
            row["reason"] = " | ".join(filter(None, (row.get("reason"), reason)))
    frame = pd.DataFrame(list(rows.values()), columns=MEASUREMENTS)
    return frame.astype(dict.fromkeys(COUNTS, "Int64"))  # whole, though some are missing


def comparison(run: Run, name: str) -> pd.DataFrame:
    """One row a measurement that differs from its reference in this table's axis alone."""
    axis = AXES[name]
    rows = [_speedup_row(axis, m, run) for m in compared(run, axis)]
    frame = pd.DataFrame(rows, columns=COMPARISONS[name])
    keys = ["variant", "batch_size"]
    if axis in {"threads", "device", "backend"}:
        keys.append(axis)
    return frame.sort_values(keys, kind="stable", ignore_index=True)


def compared(run: Run, axis: str) -> list[Measurement]:
    """List the measurements that differ from their reference in that axis alone.

    A reference against itself belongs to them when another one has the same
    reference; it shows the noise floor. So does a rung of a ladder, but for
    those of unnamed models between its ends.
    """
    measured = [o for o in run.outcomes if isinstance(o, Measurement)]
    rungs, tuned, between = rung_keys(run), tuning_keys(run), aside(run)
    differing = [
        m
        for m in measured
        if differs_only_in(axis, m.case, m.reference)
        and m.key not in tuned
        and not {m.case, m.reference} & between
    ]
    itself = {m.reference for m in measured if m.case == m.reference}
    references = {m.reference for m in differing if m.key not in rungs or m.reference in itself}
    chosen = [m for m in differing if m.reference in references]
    return chosen + [m for m in measured if m.case == m.reference and m.case in references]


@once
def aside(run: Run) -> set[Case]:
    """Cases that were measured only for a table of their own: that of a ladder or of levers.

    Of a ladder they are the unnamed models that lead from one end to the other: the baseline
    with changes, `baseline+adam+wide_kernel`. Of levers all but the plain case, of scaling all
    that train on several devices.
    """
    return _between_rungs(run) | _levered(run) | _several_devices(run)


def _several_devices(run: Run) -> set[Case]:
    return {case for o in run.outcomes for case in (o.case, o.reference) if case.replicas > 1}


def _levered(run: Run) -> set[Case]:
    keys, plain = tuning_keys(run), {tuning.plain for tuning in run.tunings}
    tried = {case for o in run.outcomes if o.key in keys for case in (o.case, o.reference)}
    others = {case for o in run.outcomes if o.key not in keys for case in (o.case, o.reference)}
    return tried - plain - others


@once
def tuning_keys(run: Run) -> set[str]:
    """Keys of the comparisons of levers, that of the whole stack among them."""
    return {
        key
        for tuning in run.tunings
        for key in (
            *(attempt.key for attempt in tuning.attempts),
            *([comparison_key(tuning.stacked, tuning.plain)] if tuning.stacked else []),
        )
    }


def _between_rungs(run: Run) -> set[Case]:
    rungs = rung_keys(run)
    on_ladders = {case for o in run.outcomes if o.key in rungs for case in (o.case, o.reference)}
    others = {case for o in run.outcomes if o.key not in rungs for case in (o.case, o.reference)}
    return {c for c in on_ladders - others if "+" in c.variant and ":" not in c.variant}


@once
def rung_keys(run: Run) -> set[str]:
    """Keys of the comparisons that make ladders, the direct ones of their ends among them."""
    return {
        key
        for ladder in run.ladders
        for key in (
            *(rung.key for rung in ladder.rungs),
            comparison_key(ladder.rungs[-1].case, ladder.rungs[0].reference),
        )
    }


def others(run: Run) -> list[Measurement]:
    """List the comparisons that differ in an axis without a table, or in several."""
    rungs = rung_keys(run) | tuning_keys(run)
    return [
        outcome
        for outcome in run.outcomes
        if isinstance(outcome, Measurement)
        and outcome.case != outcome.reference
        and outcome.key not in rungs
        and not any(differs_only_in(a, outcome.case, outcome.reference) for a in AXES.values())
        and scaling_kind(outcome.case, outcome.reference) is None
    ]


def scaling_kind(case: Case, reference: Case) -> Literal["strong", "weak"] | None:
    """How more devices are compared with fewer: with the same batch, or one as much larger."""
    more, rest = divmod(case.replicas, reference.replicas)
    if more < 2 or rest:
        return None
    alike = dataclasses.replace(case, replicas=reference.replicas, hosts=reference.hosts)
    if alike == reference:
        return "strong"
    smaller = dataclasses.replace(alike, batch_size=case.batch_size // more)
    return "weak" if smaller == reference else None


def differs_only_in(axis: str, case: Case, reference: Case) -> bool:
    """Whether two cases differ, and in that axis alone."""
    # Whether the step is compiled goes with the backend, and is a column.
    changed = {a: getattr(reference, a) for a in (axis, *(["jit"] if axis == "backend" else []))}
    if all(getattr(case, name) == value for name, value in changed.items()):
        return False
    return dataclasses.replace(case, **changed) == reference


def doubts(m: Measurement, run: Run) -> list[Caution]:
    """List the cautions of a comparison; what a rung or a lever changes is meant to differ."""
    found = cautions.of_measurement(m, run.protocol)
    meant = {cautions.OPTIMIZER_DIFFERS} if m.key in rung_keys(run) else set()
    if m.key in tuning_keys(run):
        meant = {cautions.OPTIMIZER_DIFFERS, cautions.JIT_DIFFERS}
    return [doubt for doubt in found if doubt.doubt not in meant]


def speedup_columns(m: Measurement, run: Run) -> dict[str, Any]:
    """What every table says of a comparison: the speedup, how it is judged, what shrank."""
    estimate = stats.speedup(m)
    judged = run.protocol.effort != "quick"
    comparable = m.case != m.reference and all(
        as_published(case, run) for case in (m.case, m.reference)
    )
    return {
        "parameters": m.facts.parameters,
        "macs_per_sample": m.facts.macs_per_sample,
        "macs_source": m.facts.macs_source,
        "parameter_ratio": m.reference_facts.parameters / m.facts.parameters,
        "mac_ratio": quotient(m.reference_facts.macs_per_sample, m.facts.macs_per_sample),
        "speedup": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "blocks": len(stats.block_logs(m)),
        "verdict": stats.verdict(estimate) if judged else None,
        "smallest_visible": stats.smallest_visible(estimate) if judged else None,
        "published": published.speedup(_key(m.case), _key(m.reference)) if comparable else None,
        "noise_floor": m.case == m.reference,
        "cautions": _joined(cautions.of_measurement(m, run.protocol)),
    }


def _speedup_row(axis: str, m: Measurement, run: Run) -> dict[str, Any]:
    speedup, epoch = speedup_columns(m, run), epochs.speedup(m)
    return {
        **case_columns(m.case),
        **speedup,
        "reference": str(getattr(m.reference, axis)),
        "device_name": m.facts.device_name,
        "reference_name": m.reference_facts.device_name,
        "reference_jit": m.reference.jit,
        "epoch_speedup": epoch and epoch.value,
        "epoch_low": epoch and epoch.low,
        "epoch_high": epoch and epoch.high,
        "efficiency": speedup["speedup"] / (m.case.threads / m.reference.threads),
    }


def as_published(case: Case, run: Run) -> bool:
    """Whether it is what the report trained: MNIST, its own optimizer, all CPUs or the GPU."""
    everything = case.device == "gpu" or case.threads == run.machine.usable_cpus
    own = case.optimizer is None and case.loss is None
    return everything and own and case.dataset == "mnist" and case.backend == "tensorflow"


def _key(case: Case) -> tuple[str, str, int]:
    return case.variant, case.device, case.batch_size


def quotient(above: float | None, below: float | None) -> float | None:
    """Divide; None where one of both is missing or nothing."""
    return None if above is None or not below else above / below


def case_columns(case: Case) -> dict[str, Any]:
    """The fields of a case and its id, as columns."""
    return {"case": case.id, **{f.name: getattr(case, f.name) for f in dataclasses.fields(case)}}


@once
def sides(run: Run) -> list[Side]:
    """Collect what was observed of each case over all of its comparisons.

    In the order in which they were measured, but for the batch sizes of one case.
    """
    found: dict[Case, Side] = {}
    for outcome in run.outcomes:
        if isinstance(outcome, Failure):
            continue
        key, found_doubts = outcome.key, doubts(outcome, run)
        both: tuple[tuple[Role, Case, ModelFacts, int], ...] = (
            ("case", outcome.case, outcome.facts, outcome.steps),
            ("reference", outcome.reference, outcome.reference_facts, outcome.reference_steps),
        )
        for role, case, facts, steps in both:
            side = found.setdefault(case, Side(case, facts, [], defaultdict(list), [], []))
            side.steps.append(steps)
            for (whose, block), its in rounds.by_worker(outcome).items():
                if whose == role:
                    # The two sides of a noise-floor block ran side by side: one block.
                    side.blocks[key, block] += its
            side.starts.extend(start for start in outcome.starts if start.role == role)
            if role == "case":
                side.cautions.extend(d for d in found_doubts if d not in side.cautions)
    first: dict[Case, int] = {}
    for case in found:
        first.setdefault(dataclasses.replace(case, batch_size=0), len(first))

    def place(side: Side) -> tuple[int, int]:
        case = side.case
        return first[dataclasses.replace(case, batch_size=0)], case.batch_size

    return sorted(found.values(), key=place)


def _measured_row(side: Side, run: Run) -> dict[str, Any]:
    step = side.step
    sample = step.value / side.case.batch_size
    return {
        **case_columns(side.case),
        "device_name": side.facts.device_name,
        "optimizer": side.facts.optimizer,
        "status": "measured",
        "parameters": side.facts.parameters,
        "macs_per_sample": side.facts.macs_per_sample,
        "macs_source": side.facts.macs_source,
        "steps_per_round": min(side.steps),  # whatever the order of comparisons
        "rounds": len(side.rounds),
        "blocks": step.n,
        **_microseconds(step),
        "sample_us": sample * 1e6,
        "samples_per_s": 1 / sample,
        **_epoch(side, step.value),
        "published_epoch_s": published.epoch_seconds().get(_key(side.case))
        if as_published(side.case, run)
        else None,
        "ready_s": statistics.median(start.ready_seconds for start in side.starts),
        "first_step_s": statistics.median(start.first_step_seconds for start in side.starts),
        "import_rss_mib": _largest_mib(start.import_rss_bytes for start in side.starts),
        "build_rss_mib": _largest_mib(start.build_rss_bytes for start in side.starts),
        "peak_rss_mib": _largest_mib(start.peak_rss_bytes for start in side.starts),
        "cpu_percent": 100 * rounds.total(side.rounds, "cpu_seconds") / side.seconds,
        **(_gpu(side, sample) if side.case.device == "gpu" else {}),
        "loss": statistics.median(block[-1].loss for block in side.blocks.values()),
        "cautions": _joined(side.cautions),
    }


def _joined(doubts: Iterable[Caution]) -> str:
    return cautions.SEPARATOR.join(map(str, doubts))


def _microseconds(step: Estimate) -> dict[str, float | None]:
    return {
        "step_us": step.value * 1e6,
        "step_us_low": None if step.low is None else step.low * 1e6,
        "step_us_high": None if step.high is None else step.high * 1e6,
    }


def _largest_mib(sizes: Iterable[int | None]) -> float | None:
    known = [size for size in sizes if size is not None]
    return max(known) / MIB if known else None


def _gpu(side: Side, sample_seconds: float) -> dict[str, float | str | None]:
    usages = [start.usage.gpu for start in side.starts if start.usage and start.usage.gpu]
    busy, power = gpu.utilization_percent(usages), gpu.power_watts(usages)
    device = gpu.memory_bytes(usages)
    allocator = _largest_mib(start.gpu_memory_bytes for start in side.starts)
    sources = dict.fromkeys(start.gpu_memory_source for start in side.starts)
    own = None if device.value is None else device.value / MIB
    missing = {
        "GPU %": None if busy.value is not None else busy.source,
        "W": None if power.value is not None else power.source,
        "allocator's peak": None if allocator is not None else "; ".join(sources),
        "device memory": None if own is not None else device.source,
        **{name: f"NVML refuses it: {why}" for name, why in gpu.refused(usages).items()},
    }
    return {
        "float32_math": side.facts.float32_math,
        "gpu_memory_mib": own if allocator is None else allocator,
        "gpu_memory_source": device.source if allocator is None else "; ".join(sources),
        "gpu_nvml_memory_mib": own,
        "gpu_percent": busy.value,
        "gpu_readings": busy.readings,
        "gpu_power_w": power.value,
        "gpu_power_source": power.source,
        "joules_per_sample": None if power.value is None else power.value * sample_seconds,
        "gpu_temperature_c": gpu.largest(usages, "temperature_celsius"),
        "gpu_sm_clock_mhz": gpu.median(usages, "sm_clock_mhz"),
        "gpu_missing": cautions.SEPARATOR.join(
            f"{what}: {why}" for what, why in missing.items() if why
        ),
    }


def _epoch(side: Side, step_seconds: float) -> dict[str, float | str | None]:
    fits = [start.fit for start in side.starts if start.fit]
    epoch = epochs.epoch(fits, step_seconds, side.case.batch_size, side.facts.train_samples)
    return {
        "epoch_s": epoch.seconds.value,
        "epoch_s_low": epoch.seconds.low,
        "epoch_s_high": epoch.seconds.high,
        "epoch_s_source": epoch.source,
        "input_share": epoch.input_share,
    }
