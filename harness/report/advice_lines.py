"""Advice in words: one line per variant."""

from collections.abc import Iterator, Sequence

from harness import units
from harness.analyze.advice.advise import (
    EPOCHS_REMARK,
    RANDOM_REMARK,
    Advice,
    Choice,
    Rival,
    advise,
    differing,
)
from harness.analyze.analysis import Analysis
from harness.analyze.compare import case_matching
from harness.records import Case
from harness.tables.declare import percent_of, speedup_of

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
    """Write one advice with its evidence.

    Args:
        advice: To be written.
        several: Fields of its case that tell it from other advices on the same variant.
    """
    name = named(advice.variant, advice.case, several)
    answered = [choice for choice in advice.asked if choice.value is not None]
    answered.sort(key=lambda choice: choice.axis != "device")
    answers = [_value(c.axis, c.value) + _where(c, advice) for c in answered]
    title = "Recommendation" if answers else "No recommendation"
    sentences = [
        ": ".join(filter(None, (f"{title} for {name}", ", ".join(answers)))),
        *(text for choice in advice.asked for text in _evidence(choice, advice)),
        *_alone(advice),
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
        f"Note{'' if remark in (EPOCHS_REMARK, RANDOM_REMARK) else f' on {variant}'}: {remark}"
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
            shares = " or ".join(map(_with_share, choice.undecided))
            best = _value(choice.axis, choice.best)
            reason = f"{shares} may be within 5 % of the best measured, {best}"
        what = f"{_NOUNS[choice.axis]}{_where(choice, advice)}"
        yield f"No {what}: {'; '.join(filter(None, (reason, choice.todo)))}"
        return
    yield _capital(_reason(choice))
    if choice.axis in _MORE and choice.value == max(choice.measured):
        yield f"{_MORE[choice.axis]} were not measured"
    if choice.undecided:
        others = _value(choice.axis, " or ".join(str(other.value) for other in choice.undecided))
        shares = ", ".join(percent_of(other.throughput) for other in choice.undecided)
        yield f"{_capital(others)} may be within 5 % of the best, too: {shares}"


def _with_share(rival: Rival) -> str:
    return f"{rival.value} ({percent_of(rival.throughput)})"


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


def _alone(advice: Advice) -> Iterator[str]:
    """Name the values that had no alternative."""
    alone = [
        _value(c.axis, c.measured[0]) + _where(c, advice) for c in advice.choices if not c.asked
    ]
    if alone:
        yield f"Only measured: {', '.join(alone)}"


def _value(axis: str, value: int | str | None) -> str:
    if axis == "batch_size":
        return f"batch {value}"
    if axis == "device":
        return f"the {str(value).upper()}"
    return f"{value} thread{'' if value == 1 else 's'}"


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
