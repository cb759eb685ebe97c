"""Explain a worker's failure for lack of memory; distinguish an OOM kill from other SIGKILLs."""

from harness import units
from harness.measure.machine.facts import memory_available, memory_in_all, oom_kills
from harness.measure.workers.worker_process import HostLost, WorkerFailed
from harness.records import FailureKind


def explained(
    error: WorkerFailed, kills_before: int | None, last_rss_bytes: int | None
) -> WorkerFailed:
    """Add how much memory a worker used and how much there was.

    The failure becomes `oom` if the kernel has killed a process for memory since `kills_before`,
    which is `oom_kills()` before the worker started.
    """
    if error.rss_bytes is not None:
        used, free = units.mebibytes(error.rss_bytes), units.mebibytes(memory_available())
        text = f"{error} ({used} were in use, {free} free)"
        return WorkerFailed(error.kind, text, error.log_tail)
    if error.kind != "killed" or isinstance(error, HostLost):
        return error
    kind: FailureKind = "killed"
    message, kills = str(error), oom_kills()
    if kills_before is not None and kills is not None and kills > kills_before:
        kind, there = "oom", units.mebibytes(memory_in_all())
        message = f"the kernel ended the worker because memory ran out: {there} in all"
    if last_rss_bytes is not None:
        message += f"; its last reading was {units.mebibytes(last_rss_bytes)}"
    return WorkerFailed(kind, message, error.log_tail)
