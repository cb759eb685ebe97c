"""What `harness advise` shows: advice, the cost of a training as a table, both as JSON."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from harness import units
from harness.analyze.advice import cost
from harness.analyze.advice.advise import MORE_SIZES, Advice, differing
from harness.analyze.advice.cost import Memory, Plan
from harness.analyze.analysis import Analysis
from harness.records import Estimate, to_json
from harness.report import formats
from harness.report.advice_lines import line, named, remarks
from harness.tables.declare import Column, given
from harness.tables.text import TextTable, build, caption

Row = dict[str, Any]

SCHEMA = 1
Answer = tuple[Advice, Plan | None]


def show(console: Console, analysis: Analysis, answers: Sequence[Answer]) -> None:
    """Print the recommendations, then the plans."""
    advices = [advice for advice, _ in answers]
    several = differing(advices)
    told = [advice for advice in advices if advice.asked or advice.failed]
    lines = [line(advice, several) for advice in told]
    alone = [named(a.variant, a.case, several) for a in advices if a not in told]
    if alone:
        lines.append(
            f"No recommendation for {', '.join(alone)}: only one batch size, device and number of "
            f"threads was measured; {MORE_SIZES}"
        )
    for text in [*lines, *remarks(advices)]:
        console.print(Text(text))
    table = plan_table(analysis, answers)
    if table.rows:
        console.print()
        console.print(formats.to_rich(table, console.width, "--json"))
        console.print(Text(table.caption, "dim"))


class _PlanRow(NamedTuple):
    name: str
    advice: Advice
    plan: Plan


def plan_table(analysis: Analysis, answers: Sequence[Answer]) -> TextTable:
    """One row per plan."""
    several = differing([advice for advice, _ in answers])
    rows = [
        _PlanRow(named(f"{a.variant} {p.case.batch_size}", p.case, several), a, p)
        for a, p in answers
        if p is not None
    ]
    plans = [row.plan for row in rows]
    return build(
        f"Cost of {_asked(plans)}",
        _COLUMNS,
        rows,
        notes=_notes(plans),
        caption=caption(analysis.run),
    )


def _asked(plans: Sequence[Plan]) -> str:
    samples = " or ".join(dict.fromkeys(units.count(plan.samples) for plan in plans))
    epochs = plans[0].epochs if plans else 0
    return f"{epochs} epoch{'' if epochs == 1 else 's'} of {samples} samples"


def _notes(plans: Sequence[Plan]) -> Iterator[str]:
    for source in dict.fromkeys(plan.source for plan in plans):
        yield f"time: startup and all epochs, from {source}; without {cost.NOT_IN_TIME}"
    yield (
        f"memory: the largest peak of a worker plus {100 * cost.MARGIN:.0f} %, because workers of "
        f"one case differ by up to that; without {cost.NOT_IN_MEMORY}"
    )
    if any(plan.energy_joules for plan in plans):
        yield (
            "energy: power of the GPU board during rounds times the time of all steps; without "
            f"{cost.NOT_IN_ENERGY}"
        )
    missing = [("energy", plan.energy_missing) for plan in plans]
    missing += [("GPU memory", plan.gpu_memory.missing) for plan in plans if plan.gpu_memory]
    yield from (f"missing: {what}: {why}" for what, why in dict.fromkeys(missing) if why)
    yield "intervals: 95 %, over blocks of fresh workers; none for fewer than three blocks"
    if any(plan.cost for plan in plans):
        yield "cost: price per hour times the time, in the currency of the price"


def _chosen(row: _PlanRow) -> str:
    if row.advice.recommended:
        return "recommended"
    return "fastest measured" if row.advice.asked else "only one measured"


def _duration(estimate: Estimate) -> str:
    return units.duration_interval(estimate.value, estimate.low, estimate.high)


def _needed(memory: Memory | None) -> str:
    return units.MISSING if memory is None else units.mebibytes(memory.needed_bytes)


def _kilojoules(joules: Estimate) -> str:
    return units.digits(joules.value / 1e3) + units.ends(joules.low, joules.high, 1e3)


def _money(price: Estimate) -> str:
    return units.digits(price.value, 2) + units.ends(price.low, price.high, significant=2)


_COLUMNS = (
    Column[_PlanRow]("case", lambda row: row.name, numeric=False),
    Column[_PlanRow]("device", lambda row: row.plan.case.device, numeric=False, rank=2),
    Column[_PlanRow]("threads", lambda row: str(row.plan.case.threads), rank=2),
    Column[_PlanRow]("choice", _chosen, numeric=False, rank=1),
    Column[_PlanRow]("time [95 %]", lambda row: _duration(row.plan.training_seconds)),
    Column[_PlanRow]("startup", lambda row: units.seconds(row.plan.start_seconds.value), rank=5),
    Column[_PlanRow]("per epoch [95 %]", lambda row: _duration(row.plan.epoch_seconds), rank=4),
    Column[_PlanRow]("memory", lambda row: _needed(row.plan.host_memory)),
    Column[_PlanRow]("GPU memory", lambda row: _needed(row.plan.gpu_memory)),
    Column[_PlanRow]("kJ [95 %]", lambda row: given(row.plan.energy_joules, _kilojoules), rank=1),
    Column[_PlanRow]("cost [95 %]", lambda row: given(row.plan.cost, _money)),
    Column[_PlanRow]("blocks", lambda row: str(row.plan.training_seconds.n), rank=3),
)


def to_json_text(analysis: Analysis, answers: Sequence[Answer]) -> str:
    """Write the advice as one JSON object; docs/measuring.md names its fields."""
    several = differing([advice for advice, _ in answers])
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "run": analysis.run.id,
        "effort": analysis.run.protocol.effort,
        "advice": [
            {
                **to_json(advice),
                "recommended": advice.recommended,
                "line": line(advice, several),
                "plan": to_json(plan),
            }
            for advice, plan in answers
        ],
    }
    return json.dumps(found, indent=2, allow_nan=False)
