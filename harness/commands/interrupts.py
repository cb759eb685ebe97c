"""Signals that end a run as Ctrl-C does: workers end, and the report is written.

SIGTERM and SIGHUP, and SIGUSR1 and SIGUSR2, of which schedulers send one before a job's time is up.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Make these signals raise KeyboardInterrupt, with their name, if they would end the process.

    Only the first one does: whoever ends a job sends several, and the report must be written. A
    signal that is ignored, as under nohup, or that has another handler is left alone; so are all
    where this is not the main thread.
    """
    here = _SIGNALS if threading.current_thread() is threading.main_thread() else ()
    changed = [number for number in here if signal.getsignal(number) == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    no_more()
    raise KeyboardInterrupt(signal.Signals(number).name)


def no_more() -> None:
    """Ignore these signals from now on, while `as_interrupts` lasts: a report is being written."""
    for number in _SIGNALS:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_IGN)


def to_resume(error: BaseException, option: str, resume: str | None) -> str:
    """Say what ended a run and how to go on.

    Args:
        error: The interrupt.
        option: That continues a run, as it is typed.
        resume: The value of that option in the run that has ended.
    """
    by = f" by {error.args[0]}" if error.args else ""
    same = "the same command" if resume == "auto" else f"the same command with {option}"
    return f"Interrupted{by}: {same} measures the rest."
