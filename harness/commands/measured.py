"""The frame of a command that measures: settings, session, files, output, exit code."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import units
from harness.commands import interrupts, options, output, versions
from harness.commands.options import Settings
from harness.commands.session import Session
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.profiling import is_traced
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Measurement

if TYPE_CHECKING:
    from harness.report.files import Written

_WORKERS = 1  # that trace a case beside its measurement; `profile` has more, and intervals
Conclude = Callable[[Settings, "Written"], output.Conclusion]


def measured(
    arguments: argparse.Namespace,
    body: Callable[[Session], bool],
    conclude: Conclude = versions.conclude,
    **fixed: Any,
) -> int:
    """Measure in a session, write and show the run, and return the exit code of the command.

    Args:
        arguments: Of the command.
        body: Measures, and says whether everything could be measured.
        conclude: Says what follows from the run.
        fixed: Settings that are no option.
    """
    gpu = open_gpu()
    settings = options.parse(vars(arguments), Path.cwd(), gpu, **fixed)
    complete = False
    clock = gpu.locked(settings.lock_clock)
    session = Session(settings, gpu, output.progress(), arguments.typed, smoke=False)
    with clock, session:
        complete = body(session)  # an interrupt ends it, and what was measured is shown
        complete = profile_measured(session) and complete
        session.end()
    written = session.write()
    crossed = False
    if written is not None:
        conclusion = conclude(settings, written)
        crossed = conclusion.failed
        output.show(written, as_json=arguments.json, conclusion=conclusion)
        output.summarize(written, conclusion, settings.summary)
    if session.interrupt is not None:
        if "resume" in arguments:  # a search for a commit begins again
            line = interrupts.to_resume(session.interrupt, "--resume", settings.resume)
            output.progress().print(line)
        return output.INTERRUPTED
    return 0 if complete and not crossed else 1


def profile_measured(session: Session) -> bool:
    """Trace the layers of what a run has measured, if that is asked for; False where one failed."""
    if not session.settings.profile or not session.planned:
        return True
    outcomes = session.runner.run().outcomes
    measured = (one for one in outcomes if isinstance(one, Measurement))
    cases = dict.fromkeys(case for one in measured for case in (one.reference, one.case))
    complete = True
    for case in filter(is_traced, cases):
        if error := trace(session, case, _WORKERS):  # its measurement is kept as it is
            session.say(f"{case.id} could not be traced: {error.kind}: {error}")
            complete = False
    return complete


def trace(session: Session, case: Case, workers: int) -> WorkerFailed | None:
    """Trace the layers of a case in so many workers; return what failed."""
    session.say(f"tracing {case.id} in {units.plural(workers, 'worker')}")
    try:
        session.runner.profile(case, workers, session.settings.memory_bytes)
    except WorkerFailed as error:
        return error
    return None
