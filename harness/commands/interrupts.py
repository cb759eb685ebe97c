"""SIGTERM and SIGHUP end a run as Ctrl-C does: workers end, and the report is written."""

import contextlib
import signal
import threading
from collections.abc import Iterator

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt where they would end the process.

    A signal that is ignored, as under nohup, or that has another handler is left alone; so are
    all where this is not the main thread.
    """
    here = _SIGNALS if threading.current_thread() is threading.main_thread() else ()
    changed = [number for number in here if signal.getsignal(number) == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
