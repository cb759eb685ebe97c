"""SIGTERM and SIGHUP end a run as Ctrl-C does: workers end, and the report is written."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def install() -> Callable[[], None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt where they would end the process.

    A signal that is ignored, as under nohup, or that has another handler is left alone.

    Returns:
        A function that undoes this.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    changed = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _interrupt)

    def undo() -> None:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)

    return undo


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """`install` while the body runs."""
    undo = install()
    try:
        yield
    finally:
        undo()


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
