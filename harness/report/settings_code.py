"""The levers of a stack as code: what to set, where."""

from collections.abc import Iterator

from harness.analyze.analysis import Analysis
from harness.records import Case, Tuning
from harness.records.lever_declarations import FEED, Lever
from harness.records.lever_declarations import LEVERS as SETTINGS
from harness.tables.declare import speedup_of
from harness.tables.levers import LEVERS, STACK

_DOUBT = "# no interval: fewer than three blocks show no more than the order of size"


def code(analysis: Analysis) -> str:
    """Write the best stack of each case that was tuned; empty where there is none."""
    rows = analysis.rows(LEVERS)
    blocks = []
    for tuning in analysis.run.tunings:
        stacks = (r for r in rows if r.what == STACK and r.plain == tuning.plain.id)
        speedup = next((r.judged.speedup for r in stacks if r.judged), None)
        if speedup and tuning.stacked is not None:
            plain = tuning.plain
            where = f"at batch {plain.batch_size} on {plain.backend}, {plain.device.upper()}"
            found = f"{speedup_of(speedup)} (run {analysis.run.id})"
            head = f"# {plain.variant} {where}: {found}"
            doubt = [] if speedup.low is not None else [_DOUBT]
            blocks.append("\n".join([head, *doubt, *_lines(tuning, tuning.stacked)]) + "\n")
    return "\n".join(blocks)


def _lines(tuning: Tuning, stacked: Case) -> Iterator[str]:
    """Shell first, then what comes before the model, then compile and fit."""
    environment: dict[str, str] = {}
    for attempt in tuning.attempts:
        if attempt.case == stacked:
            environment |= attempt.environment
    if environment:
        yield "# In the shell, before Python starts:"
        yield from (f"#   export {name}={value}" for name, value in environment.items())
    plain = tuning.plain
    changed = [lever for lever in SETTINGS if lever.setting(stacked) != lever.setting(plain)]
    before = list(filter(None, (_statement(lever, stacked) for lever in changed)))
    batches = "" if stacked.feed == plain.feed else FEED.batches.get(stacked.feed or "", "")
    batches = batches.format(size=stacked.batch_size)
    imports = [f"import {statement.partition('.')[0]}" for statement in before]
    if "tf.data" in batches:
        imports.append("import tensorflow as tf")
    yield from dict.fromkeys(imports)
    yield from before
    arguments = [(r.argument, getattr(stacked, r.field or r.name)) for r in changed if r.argument]
    if arguments:
        yield f"model.compile(..., {', '.join(f'{name}={value}' for name, value in arguments)})"
    if batches:
        yield f"batches = {batches}"
        yield "model.fit(batches, ...)"
    elif stacked.feed != plain.feed:
        yield "model.fit(x, y, ...)  # arrays in memory"


def _statement(lever: Lever, stacked: Case) -> str | None:
    """What comes before the model is built: the statement that the worker executed."""
    return lever.printed(lever.setting(stacked)) if lever.printed else lever.statement(stacked)
