"""Advice in words, one line per variant; with the cost of a training as a table; both as JSON."""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from harness import units
from harness.analyze.advice import advise as advising
from harness.analyze.advice import cost
from harness.analyze.advice.advise import Advice, Choice, advise, differing
from harness.analyze.advice.cost import Memory, Plan
from harness.analyze.analysis import Analysis
from harness.analyze.compare import case_matching
from harness.records import Case, Estimate, to_json
from harness.report import formats
from harness.tables.declare import Column, percent_of, speedup_of
from harness.tables.text import TextTable, build, caption

SCHEMA = 1
Answer = tuple[Advice, Plan | None]
_ON_ALL = (advising.EPOCHS_REMARK, advising.RANDOM_REMARK)
_QUICK = "No recommendation: quick effort has no intervals; measure at default effort"
_NOUNS = {"batch_size": "batch size", "device": "device", "threads": "number of threads"}
_MORE = {"batch_size": "Larger batches", "threads": "More threads"}


def lines(analysis: Analysis) -> list[str]:
    """Write one line per variant for which there was a choice, then what throughput omits."""
    advices = advise(analysis)
    told = [advice for advice in advices if advice.asked or advice.failed]
    if told and analysis.run.protocol.effort == "quick":
        return [_QUICK]
    several = differing(advices)
    return [line(advice, several) for advice in told] + remarks(told)


def line(advice: Advice, several: Sequence[str] = ()) -> str:
    """Write one advice with its evidence; it is named by fields in which several differ."""
    name = named(advice.variant, advice.case, several)
    answered = [choice for choice in advice.asked if choice.value is not None]
    answered.sort(key=lambda choice: choice.axis != "device")
    answers = ", ".join(_value(c.axis, c.value) + _where(c, advice) for c in answered)
    unasked = [choice for choice in advice.choices if not choice.asked]
    alone = ", ".join(_value(c.axis, c.measured[0]) + _where(c, advice) for c in unasked)
    sentences = [
        f"Recommendation for {name}: {answers}" if answers else f"No recommendation for {name}",
        *(text for choice in advice.asked for text in _evidence(choice, advice)),
        *([f"Only measured: {alone}"] if alone else []),
        *(f"Failed: {failure}" for failure in advice.failed),
    ]
    return f"{'. '.join(sentences)}."


def named(name: str, case: Case | None, several: Sequence[str]) -> str:
    """Add to a name what tells its case from others."""
    parts = [] if case is None else case_matching.words(case, several)
    return f"{name} ({', '.join(parts)})" if parts else name


def remarks(advices: Sequence[Advice]) -> list[str]:
    """Write what throughput does not say, each remark once."""
    found = {a.remark: a.variant for a in advices if a.remark}
    return [
        f"Note{'' if remark in _ON_ALL else f' on {variant}'}: {remark}"
        for remark, variant in found.items()
    ]


def _where(choice: Choice, advice: Advice) -> str:
    several = len({other.case.device for other in advice.choices}) > 1
    return f" on the {choice.case.device.upper()}" if several and choice.axis != "device" else ""


def _evidence(choice: Choice, advice: Advice) -> Iterator[str]:
    """Say why a value was chosen, or why none was."""
    if choice.value is None:
        reason = choice.reason
        if choice.undecided:
            rivals = (f"{r.value} ({percent_of(r.throughput)})" for r in choice.undecided)
            shares, best = " or ".join(rivals), _value(choice.axis, choice.best)
            reason = f"{shares} may be within 5 % of the best measured, {best}"
        why = "; ".join(filter(None, (reason, choice.todo)))
        yield f"No {_NOUNS[choice.axis]}{_where(choice, advice)}: {why}"
        return
    yield units.capital(_reason(choice))
    if choice.axis in _MORE and choice.value == max(choice.measured):
        yield f"{_MORE[choice.axis]} were not measured"
    if choice.undecided:
        others = _value(choice.axis, " or ".join(str(other.value) for other in choice.undecided))
        shares = ", ".join(percent_of(other.throughput) for other in choice.undecided)
        best = _value(choice.axis, choice.best)
        yield (
            f"{units.capital(others)} may be enough, too, but not every comparison shows it: "
            f"{shares} of the throughput of {best}"
        )


def _reason(choice: Choice) -> str:
    value, best = (_value(choice.axis, one) for one in (choice.value, choice.best))
    smaller = choice.next_smaller
    if choice.axis == "device":
        ratio = speedup_of(choice.throughput)
        return f"{value} has {ratio} the throughput of {best} at batch {choice.case.batch_size}"
    if choice.throughput is not None:
        share = percent_of(choice.throughput)
        return f"{value} reaches {share} of the best throughput ({best}){_memory(choice)}"
    if smaller is None:
        return f"{value} is the smallest measured and has the best throughput"
    if smaller in choice.undecided:  # the best measured may be the best by chance
        return f"no other {_NOUNS[choice.axis]} measured is more than 5 % faster"
    share = percent_of(smaller.throughput)
    return f"{value} has the best throughput; {smaller.value} reaches {share} of it"


def _memory(choice: Choice) -> str:
    if choice.axis != "batch_size" or choice.memory_share is None:
        return ""
    beyond = "" if choice.case.device == "gpu" else ", not counting the framework's import"
    return f" with {units.percent(100 * choice.memory_share)} of its memory{beyond}"


def _value(axis: str, value: int | str | None) -> str:
    if axis == "batch_size":
        return f"batch {value}"
    if axis == "device":
        return f"the {str(value).upper()}"
    return f"{value} thread{'' if value == 1 else 's'}"


def show(console: Console, analysis: Analysis, answers: Sequence[Answer]) -> None:
    """Print the recommendations, then the plans."""
    advices = [advice for advice, _ in answers]
    several = differing(advices)
    told = [advice for advice in advices if advice.asked or advice.failed]
    texts = [line(advice, several) for advice in told]
    if alone := [named(a.variant, a.case, several) for a in advices if a not in told]:
        measured = "only one batch size, device and number of threads was measured"
        texts.append(f"No recommendation for {', '.join(alone)}: {measured}; {advising.MORE_SIZES}")
    for text in [*texts, *remarks(advices)]:
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
    title, below = f"Cost of {_asked(plans)}", caption(analysis.run)
    return build(title, _COLUMNS, rows, notes=_notes(plans), caption=below)


def _asked(plans: Sequence[Plan]) -> str:
    samples = " or ".join(dict.fromkeys(units.count(plan.samples) for plan in plans))
    return f"{units.plural(plans[0].epochs if plans else 0, 'epoch')} of {samples} samples"


def _notes(plans: Sequence[Plan]) -> Iterator[str]:
    for source in dict.fromkeys(plan.source for plan in plans):
        yield f"time: startup and all epochs, from {source}; without {cost.NOT_IN_TIME}"
    yield (
        f"memory: the largest peak of a worker plus {100 * cost.MARGIN:.0f} %, because workers of "
        f"one case differ by up to that; without {cost.NOT_IN_MEMORY}"
    )
    if any(plan.energy_joules for plan in plans):
        how = "power of the GPU board during rounds times the time of all steps"
        yield f"energy: {how}; without {cost.NOT_IN_ENERGY}"
    if any(plan.cpu_energy_joules for plan in plans):
        yield (
            "CPU energy: of whole processor packages during rounds, per sample, times all samples; "
            "what the idle machine and other processes consume is in it"
        )
    missing = [("energy", plan.energy_missing) for plan in plans]
    missing += [("CPU energy", plan.cpu_energy_missing) for plan in plans]
    missing += [("GPU memory", plan.gpu_memory.missing) for plan in plans if plan.gpu_memory]
    yield from (f"missing: {what}: {why}" for what, why in dict.fromkeys(missing) if why)
    yield "intervals: 95 %, over blocks of fresh workers; none for fewer than three blocks"
    if any(plan.cost for plan in plans):
        yield "cost: price per hour times the time, in the currency of the price"
    if any(plan.energy_cost or plan.grams for plan in plans):
        yield "energy cost, CO₂: price and grams per kilowatt-hour times the energy of all meters"


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
    Column[_PlanRow]("kJ [95 %]", "plan.energy_joules", _kilojoules, rank=1),
    Column[_PlanRow]("CPU kJ [95 %]", "plan.cpu_energy_joules", _kilojoules, rank=1),
    Column[_PlanRow]("cost [95 %]", "plan.cost", _money),
    Column[_PlanRow]("energy cost [95 %]", "plan.energy_cost", _money),
    Column[_PlanRow]("CO₂ g [95 %]", "plan.grams", _money),
    Column[_PlanRow]("blocks", lambda row: str(row.plan.training_seconds.n), rank=3),
)


def to_json_text(analysis: Analysis, answers: Sequence[Answer]) -> str:
    """Write the advice as one JSON object; docs/formats.md names its fields."""
    several = differing([advice for advice, _ in answers])
    found = {
        "schema": SCHEMA,
        "run": analysis.run.id,
        "effort": analysis.run.protocol.effort,
        "advice": [
            to_json(a)
            | {"recommended": a.recommended, "line": line(a, several), "plan": to_json(plan)}
            for a, plan in answers
        ],
    }
    return json.dumps(found, indent=2, allow_nan=False)
