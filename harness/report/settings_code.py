"""The levers of a stack as code: what to set, where."""

from collections.abc import Iterator

from harness.analyze.analysis import Analysis
from harness.records import Case, Tuning
from harness.tables.declare import speedup_of
from harness.tables.levers import LEVERS, STACK

_FEEDS = {
    "slices": "tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch({size})"
    ".prefetch(tf.data.AUTOTUNE)",
    "cached": "tf.data.Dataset.from_tensor_slices((x, y)).batch({size}).cache()"
    ".shuffle(len(x) // {size}).prefetch(tf.data.AUTOTUNE)",
    "device": "...  # batches that are tensors on the device already",
    "pydataset": "...  # a keras.utils.PyDataset that returns whole batches",
}
_DOUBT = "# no interval: fewer than three blocks show no more than the order of size"
_INTER_OP = {
    "tensorflow": "tensorflow.config.threading.set_inter_op_parallelism_threads",
    "torch": "torch.set_num_interop_threads",
}


def code(analysis: Analysis) -> str:
    """Write the best stack of each case that was tuned; empty where there is none."""
    rows = analysis.rows(LEVERS)
    blocks = []
    for tuning in analysis.run.tunings:
        stacks = (r for r in rows if r.what == STACK and r.plain == tuning.plain.id)
        row = next((r for r in stacks if r.speedup is not None), None)
        if row and row.speedup and tuning.stacked is not None:
            plain = tuning.plain
            head = (
                f"# {plain.variant} at batch {plain.batch_size} on {plain.backend}, "
                f"{plain.device.upper()}: {speedup_of(row.speedup)} (run {analysis.run.id})"
            )
            doubt = [] if row.speedup.low is not None else [_DOUBT]
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
    imports, before = _before(tuning.plain, stacked)
    batches = _batches(stacked) if stacked.feed != tuning.plain.feed else None
    if batches and "tf.data" in batches:
        imports.append("import tensorflow as tf")
    yield from dict.fromkeys(imports)
    yield from before
    if compiling := ", ".join(_compiling(tuning.plain, stacked)):
        yield f"model.compile(..., {compiling})"
    if batches:
        yield f"batches = {batches}"
        yield "model.fit(batches, ...)"


def _before(plain: Case, stacked: Case) -> tuple[list[str], list[str]]:
    """What is imported, and what is called before the model is built."""
    backend, calls = stacked.backend, []
    if stacked.precision != plain.precision:
        calls.append(("keras", f'keras.config.set_dtype_policy("{stacked.precision}")'))
    if stacked.threads != plain.threads:  # affinity binds the threads of every library
        cpus = f"sorted(os.sched_getaffinity(0))[:{stacked.threads}]"
        calls.append(("os", f"os.sched_setaffinity(0, {cpus})"))
    if inter_op := stacked.setting("inter_op"):
        calls.append((backend, f"{_INTER_OP[backend]}({inter_op})"))
    if (onednn := stacked.setting("onednn")) and backend == "torch":
        calls.append((backend, f"torch.backends.mkldnn.set_flags({onednn == 'on'})"))
    if tf32 := stacked.setting("tf32"):
        calls.append((backend, _tf32(backend, on=tf32 == "on")))
    return [f"import {module}" for module, _ in calls], [call for _, call in calls]


def _compiling(plain: Case, stacked: Case) -> Iterator[str]:
    """Arguments of `Model.compile`."""
    if stacked.jit != plain.jit:
        yield f"jit_compile={stacked.jit}"
    if stacked.steps_per_execution != plain.steps_per_execution:
        yield f"steps_per_execution={stacked.steps_per_execution}"


def _batches(case: Case) -> str:
    return _FEEDS[case.feed].format(size=case.batch_size)


def _tf32(backend: str, *, on: bool) -> str:
    return {
        "tensorflow": f"tensorflow.config.experimental.enable_tensor_float_32_execution({on})",
        "jax": 'jax.config.update("jax_default_matmul_precision", '
        f'"{"tensorfloat32" if on else "highest"}")',
        "torch": f"torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = {on}",
    }[backend]
