"""The levers of a stack as code: what to set, where."""

from collections.abc import Iterator

from harness.analyze.analysis import Analysis
from harness.records import Case, Tuning
from harness.records.levers import FEED
from harness.records.levers import LEVERS as SETTINGS
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
            head = (
                f"# {plain.variant} at batch {plain.batch_size} on {plain.backend}, "
                f"{plain.device.upper()}: {speedup_of(speedup)} (run {analysis.run.id})"
            )
            doubt = [] if speedup.low is not None else [_DOUBT]
            blocks.append("\n".join([head, *doubt, *_lines(tuning, tuning.stacked)]) + "\n")
    return "\n".join(blocks)


def _lines(tuning: Tuning, stacked: Case) -> Iterator[str]:
    """Shell first, then what comes before the model, then compile and fit."""
    environment = {
        name: value
        for attempt in tuning.attempts
        if attempt.case == stacked
        for name, value in attempt.environment.items()
    }
    if environment:
        yield "# In the shell, before Python starts:"
        yield from (f"#   export {name}={value}" for name, value in environment.items())
    before = list(_before(tuning.plain, stacked))
    batches = _batches(stacked) if stacked.feed != tuning.plain.feed else ""
    imports = [f"import {statement.partition('.')[0]}" for statement in before]
    if "tf.data" in batches:
        imports.append("import tensorflow as tf")
    yield from dict.fromkeys(imports)
    yield from before
    if compiling := ", ".join(_compiling(tuning.plain, stacked)):
        yield f"model.compile(..., {compiling})"
    if batches:
        yield f"batches = {batches}"
        yield "model.fit(batches, ...)"


def _before(plain: Case, stacked: Case) -> Iterator[str]:
    """Statements that come before the model is built: those that the worker executed."""
    for lever in SETTINGS:
        setting = lever.setting(stacked)
        if setting != lever.setting(plain):
            printed = lever.printed(setting) if lever.printed else lever.statement(stacked)
            if printed:
                yield printed


def _compiling(plain: Case, stacked: Case) -> Iterator[str]:
    """Arguments of `Model.compile`."""
    for lever in SETTINGS:
        if lever.argument and lever.setting(stacked) != lever.setting(plain):
            yield f"{lever.argument}={getattr(stacked, lever.field or lever.name)}"


def _batches(case: Case) -> str:
    return FEED.batches[case.feed].format(size=case.batch_size)
