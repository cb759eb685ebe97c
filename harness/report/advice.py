"""Advice in words: a line a variant, the plan as a table, all of it as JSON."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from harness import units
from harness.analyze.advice import cost as plans
from harness.analyze.advice.advise import (
    EPOCHS_REMARK,
    MORE_SIZES,
    RANDOM_REMARK,
    Advice,
    Choice,
    Rival,
    advise,
    differing,
)
from harness.analyze.advice.cost import Memory, Plan
from harness.analyze.analysis import Analysis
from harness.records import Case, Estimate, to_json
from harness.report import formats
from harness.tables.declare import Column
from harness.tables.text import TextTable, caption

Row = dict[str, Any]

SCHEMA = 1
Answer = tuple[Advice, Plan | None]
_QUICK = "No recommendation: quick effort has no intervals; measure at default effort"
_USUAL = ("tensorflow", "float32", None)  # not worth a word in a name
_NOUNS = {"batch_size": "size", "device": "device", "threads": "number"}


def lines(analysis: Analysis) -> list[str]:
    """What a run recommends, a line a variant for which there was something to choose.

    A last line says what throughput does not.
    """
    advices = advise(analysis)
    told = [advice for advice in advices if advice.asked or advice.failed]
    if told and analysis.run.protocol.effort == "quick":
        return [_QUICK]
    several = differing(advices)
    return [line(advice, several) for advice in told] + _remarks(told)


def line(advice: Advice, several: Sequence[str] = ()) -> str:
    """One advice with its evidence.

    Args:
        advice: To be written.
        several: Fields of its case that tell it from others of the same variant.
    """
    said = [_said(choice, advice) for choice in advice.choices]
    said += [f"failed: {failure}" for failure in advice.failed]
    answered = any(choice.value is not None for choice in advice.asked)
    title = "Recommendation" if answered else "No recommendation"
    return f"{title} for {_name(advice.variant, advice.case, several)}: {'; '.join(said)}"


def _name(name: str, case: Case | None, several: Sequence[str]) -> str:
    values = [] if case is None else [getattr(case, field) for field in several]
    parts = [str(value) for value in values if value not in _USUAL]
    return f"{name} ({', '.join(parts)})" if parts else name


def _remarks(advices: Sequence[Advice]) -> list[str]:
    found = {a.remark: a.variant for a in advices if a.remark}
    return [
        f"Remark{'' if remark in (EPOCHS_REMARK, RANDOM_REMARK) else f' on {variant}'}: {remark}"
        for remark, variant in found.items()
    ]


def _said(choice: Choice, advice: Advice) -> str:
    if choice.axis == "device":
        return _device(choice)
    devices = {other.case.device for other in advice.choices}
    where = f" on the {choice.case.device.upper()}" if len(devices) > 1 else ""
    if not choice.asked:
        value = _value(choice.axis, choice.measured[0])
        return f"{value}{where}, the only {_NOUNS[choice.axis]} measured"
    if choice.value is None:
        what = {"batch_size": "batch size", "threads": "number of threads"}[choice.axis]
        return f"no {what}{where}: {_refused(choice)}; {choice.todo}"
    text = f"{_value(choice.axis, choice.value)}{where}: {_evidence(choice)}"
    if choice.undecided:
        text += f"; not shown whether {_rivals(choice.undecided)} is within 5 %, too"
    return text


def _refused(choice: Choice) -> str:
    if not choice.undecided:
        return choice.reason
    return (
        f"not shown whether {_rivals(choice.undecided)} is within 5 % of the best measured, "
        f"{choice.best}"
    )


def _evidence(choice: Choice) -> str:
    if choice.throughput is not None:
        best = _value(choice.axis, choice.best)
        return f"{_share(choice.throughput)} of the best throughput ({best}){_memory(choice)}"
    if choice.next_smaller is None:
        return "the best throughput, and the smallest measured"
    largest = ", larger ones were not measured" if choice.value == max(choice.measured) else ""
    if choice.next_smaller in choice.undecided:  # it may be the best by chance
        return f"shown to be within 5 % of every other{largest}"
    smaller = f"{choice.next_smaller.value} reaches {_share(choice.next_smaller.throughput)} of it"
    return f"the best throughput{largest}; {smaller}"


def _memory(choice: Choice) -> str:
    if choice.axis != "batch_size" or choice.memory_share is None:
        return ""
    beyond = "" if choice.case.device == "gpu" else " beyond the import"
    return f" at {units.percent(100 * choice.memory_share)} of its memory{beyond}"


def _device(choice: Choice) -> str:
    if not choice.asked:
        return f"{str(choice.measured[0]).upper()}, the only device measured"
    if choice.value is None or choice.throughput is None:
        return f"no device: {'; '.join(filter(None, (choice.reason, choice.todo)))}"
    e = choice.throughput
    faster = units.ratio_interval(e.value, e.low, e.high)
    return (
        f"the {str(choice.value).upper()}: {faster} the throughput of the "
        f"{str(choice.best).upper()} at batch {choice.case.batch_size}"
    )


def _value(axis: str, value: int | str | None) -> str:
    if axis == "batch_size":
        return f"batch {value}"
    return f"{value} thread{'' if value == 1 else 's'}"


def _rivals(rivals: Sequence[Rival]) -> str:
    return " or ".join(f"{rival.value} ({_share(rival.throughput)})" for rival in rivals)


def _share(estimate: Estimate) -> str:
    text = units.percent(100 * estimate.value)
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"


def show(console: Console, analysis: Analysis, answers: Sequence[Answer]) -> None:
    """Print what is recommended, then the plan."""
    advices = [advice for advice, _ in answers]
    several = differing(advices)
    told = [advice for advice in advices if advice.asked or advice.failed]
    said = [line(advice, several) for advice in told]
    alone = [_name(a.variant, a.case, several) for a in advices if a not in told]
    if alone:
        said.append(
            f"No recommendation for {', '.join(alone)}: one batch size, device and number of "
            f"threads alone; {MORE_SIZES}"
        )
    for text in [*said, *_remarks(advices)]:
        console.print(Text(text))
    table = plan_table(analysis, answers)
    if table.rows:
        console.print()
        console.print(formats.to_rich(table, console.width, "with --json"))
        console.print(Text(table.caption, "dim"))


def plan_table(analysis: Analysis, answers: Sequence[Answer]) -> TextTable:
    """The plans, a row each."""
    several = differing([advice for advice, _ in answers])
    rows: list[Row] = [
        {"advice": a, "plan": p, "name": _name(f"{a.variant} {p.case.batch_size}", p.case, several)}
        for a, p in answers
        if p is not None
    ]
    made = [row["plan"] for row in rows]
    columns = [c for c in _COLUMNS if {c.cell(row) for row in rows} - {units.MISSING}]
    return TextTable(
        title=f"A training of {_asked(made)}",
        columns=tuple(column.heading for column in columns),
        rows=tuple(tuple(column.cell(row) for column in columns) for row in rows),
        numeric=tuple(column.numeric for column in columns),
        ranks=tuple(column.rank for column in columns),
        notes=tuple(_notes(made)),
        doubts=(),
        caption=caption(analysis.run),
    )


def _asked(made: Sequence[Plan]) -> str:
    samples = " or ".join(dict.fromkeys(units.count(plan.samples) for plan in made))
    epochs = made[0].epochs if made else 0
    return f"{epochs} epoch{'' if epochs == 1 else 's'} of {samples} samples"


def _notes(made: Sequence[Plan]) -> list[str]:
    notes = [
        f"time: the start, once, and the epochs, from {source}; not in it: {plans.NOT_IN_TIME}"
        for source in dict.fromkeys(plan.source for plan in made)
    ]
    notes.append(
        f"memory: the largest peak of a worker and {100 * plans.MARGIN:.0f} %, since workers of "
        f"one case differ by up to that; not in it: {plans.NOT_IN_MEMORY}"
    )
    if any(plan.energy_joules for plan in made):
        notes.append(
            "energy: of the GPU's board, its power in rounds times the time of all steps; not in "
            f"it: {plans.NOT_IN_ENERGY}"
        )
    missing = [("energy", plan.energy_missing) for plan in made]
    missing += [("GPU memory", plan.gpu_memory.missing) for plan in made if plan.gpu_memory]
    notes += [f"missing: {what}: {why}" for what, why in dict.fromkeys(missing) if why]
    notes.append("intervals: 95 %, over n blocks of fresh workers; none for fewer than three")
    if any(plan.cost for plan in made):
        notes.append("cost: the price an hour times the time, in the currency of the price")
    return notes


def _plan(write: Callable[[Plan], str]) -> Callable[[Row], str]:
    return lambda row: write(row["plan"])


def _chosen(row: Row) -> str:
    advice: Advice = row["advice"]
    if advice.recommended:
        return "recommended"
    return "fastest measured" if advice.asked else "only one measured"


def _duration(estimate: Estimate) -> str:
    return units.duration_interval(estimate.value, estimate.low, estimate.high)


def _needed(memory: Memory | None) -> str:
    return units.MISSING if memory is None else units.mebibytes(memory.needed_bytes)


def _kilojoules(plan: Plan) -> str:
    joules = plan.energy_joules
    if joules is None:
        return units.MISSING
    return units.digits(joules.value / 1e3) + units.ends(joules.low, joules.high, 1e3)


def _cost(plan: Plan) -> str:
    if plan.cost is None:
        return units.MISSING
    ends = units.ends(plan.cost.low, plan.cost.high, significant=2)
    return units.digits(plan.cost.value, 2) + ends


_COLUMNS: tuple[Column[Any], ...] = (
    Column("case", lambda row: str(row["name"]), numeric=False),
    Column("device", _plan(lambda p: p.case.device), numeric=False, rank=2),
    Column("threads", _plan(lambda p: str(p.case.threads)), rank=2),
    Column("chosen", _chosen, numeric=False, rank=1),
    Column("time [95 %]", _plan(lambda p: _duration(p.training_seconds))),
    Column("of it start", _plan(lambda p: units.seconds(p.start_seconds.value)), rank=5),
    Column("an epoch [95 %]", _plan(lambda p: _duration(p.epoch_seconds)), rank=4),
    Column("memory", _plan(lambda p: _needed(p.host_memory))),
    Column("GPU memory", _plan(lambda p: _needed(p.gpu_memory))),
    Column("kJ [95 %]", _plan(_kilojoules), rank=1),
    Column("cost [95 %]", _plan(_cost)),
    Column("n", _plan(lambda p: str(p.training_seconds.n)), rank=3),
)


def to_json_text(analysis: Analysis, answers: Sequence[Answer]) -> str:
    """The advice as one JSON object; docs/measuring.md says what is in it."""
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
