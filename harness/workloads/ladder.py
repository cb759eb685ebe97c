"""Parse a ladder: a path from one case to another, one change per step.

`baseline@256,+wide_kernel,+adam,@1024` begins with the baseline at batch 256, adds two of its
published changes, then raises the batch size. A step may also name another variant, with or
without a batch size: `my_model.py:build@512`.
"""

from dataclasses import dataclass

from harness.errors import BadCase
from harness.workloads import registry

_WORDS = {
    "wide_kernel": "first kernel 3×3 → 9×9",
    "no_hidden_dense": "no hidden dense layer",
    "less_dropout": "dropout 0.5 → 0.25",
    "adam": "Adadelta → Adam",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What changes in a step of a ladder, in words (none in the first); where it leads to."""

    change: str
    variant: str
    batch_size: int


def steps(text: str) -> list[Step]:
    """Read a ladder; `BadCase` for one step, no batch size at first, or a step without a change."""
    found: list[Step] = []
    for part in text.split(","):
        found.append(_step(part.strip(), found[-1] if found else None))
    if len(found) < 2:
        raise BadCase(f"a ladder has at least two steps, {text!r} has {len(found)}")
    return found


def _step(part: str, before: Step | None) -> Step:
    name, at, size = part.rpartition("@")
    if not at:
        name, size = part, ""
    if size and not (size.isdecimal() and int(size)):
        raise BadCase(f"ladder: {part!r}: {size!r} is not a batch size")
    if before is None:
        if not (name and size) or name.startswith("+"):
            raise BadCase(f"ladder: it begins with VARIANT@BATCH, not with {part!r}")
        registry.check(name)
        return Step("", name, int(size))
    variant, words = _variant(part, name, before)
    batch_size = int(size) if size else before.batch_size
    if batch_size != before.batch_size:
        words.append(f"batch {before.batch_size} → {batch_size}")
    if not words:
        raise BadCase(f"ladder: {part!r} changes nothing")
    return Step(", ".join(words), variant, batch_size)


def _variant(part: str, name: str, before: Step) -> tuple[str, list[str]]:
    if not name or name == before.variant:
        return before.variant, []
    if not name.startswith("+"):
        registry.check(name)
        return name, [f"{before.variant} → {name}"]
    known = registry.changes(before.variant)
    if known is None:
        only = "only the baseline and its changes take '+'"
        raise BadCase(f"ladder: {part!r}: {only}, not {before.variant}")
    added = name[1:].split("+")
    registry.check("baseline" + name)
    variant = registry.changed({*known, *added})
    return variant, [_WORDS[change] for change in added if change not in known]
