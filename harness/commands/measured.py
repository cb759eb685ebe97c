"""The frame of a command that measures: settings, session, files, output, exit code."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.commands import interrupts, options, output, versions
from harness.commands.options import Settings
from harness.commands.session import Session
from harness.measure.machine.gpu import open_gpu

if TYPE_CHECKING:
    from harness.report.files import Written

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
    with Session(settings, gpu, output.progress(), arguments.typed, smoke=False) as session:
        complete = body(session)  # an interrupt ends it, and what was measured is shown
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
