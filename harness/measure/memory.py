"""Tell the kernel's end of a worker for memory from somebody else's."""

from harness import units
from harness.measure.launcher import WorkerFailed
from harness.measure.machine import memory_in_all, oom_kills


def explained(error: WorkerFailed, kills_before: int | None) -> WorkerFailed:
    """Return the failure as `oom` if the kernel has ended a process for memory meanwhile.

    Args:
        error: How a worker failed.
        kills_before: `oom_kills()` before it was started.
    """
    kills = oom_kills()
    if error.kind != "killed" or kills_before is None or kills is None or kills <= kills_before:
        return error
    message = (
        "the kernel ended the worker because memory ran out: there are "
        f"{units.mebibytes(memory_in_all())} in all"
    )
    return WorkerFailed("oom", message, error.log_tail)
