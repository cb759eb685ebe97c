"""Say of each threshold of a run whether it is crossed, and by what."""

from collections.abc import Iterator, Sequence
from typing import Any

from harness import units
from harness.analyze.versions.gate import Gate, Judgement
from harness.records import to_json

_WHAT = {"slower": "time per sample", "more memory": "peak memory"}


def lines(gates: Sequence[Gate], prefix: str = "--") -> Iterator[str]:
    """Yield the answer to each threshold, and a line for each comparison."""
    for gate in gates:
        option = f"{prefix}fail-if-{gate.what.replace(' ', '-')} {100 * gate.threshold:g}%"
        yield f"{option}: {'failed' if gate.crossed else 'passed'}"
        yield from (f"  not measured: {name}" for name in gate.failed)
        yield from (f"  {_line(one, _WHAT[gate.what])}" for one in gate.judgements)


def _line(judgement: Judgement, what: str) -> str:
    ratio, name = judgement.ratio.mapped(lambda value: 100 * (value - 1)), judgement.name
    if ratio.low is None or ratio.high is None:
        return f"undecided: {name}: {what} {ratio.value:+.1f} %, without an interval"
    text = f"{judgement.answer}: {name}: {what} {ratio.value:+.1f} %"
    text += f" [{ratio.low:+.1f}, {ratio.high:+.1f}]"
    if judgement.answer != "undecided" or judgement.sees_from is None:
        return text
    return f"{text}; would have seen {units.percent(100 * judgement.sees_from)}"


def document(gates: Sequence[Gate]) -> list[dict[str, Any]]:
    """Return the answers as plain values."""
    return [{**to_json(gate), "crossed": gate.crossed} for gate in gates]
