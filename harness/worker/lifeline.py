"""Make a child end with its parent, however the parent ends (Linux)."""

import contextlib
import ctypes
import os
import signal
from typing import NoReturn

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the parent ends; exit if it already has.

    See prctl(2), PR_SET_PDEATHSIG. Without Linux's libc this does nothing:
    there the closed channel ends the child at its next message.
    """
    if _signal_at_end_of_parent(signal.SIGKILL) and os.getppid() != parent_pid:
        os._exit(1)


def exit_with_parent(parent_pid: int) -> None:
    """Raise SystemExit when the parent ends or SIGTERM comes, so that children can be ended first.

    Undone in a forked child by `signal.signal(signal.SIGTERM, signal.SIG_DFL)`; the kernel's
    promise is not inherited.
    """
    signal.signal(signal.SIGTERM, _exit)
    if _signal_at_end_of_parent(signal.SIGTERM) and os.getppid() != parent_pid:
        raise SystemExit(1)


def _exit(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise SystemExit(1)


def _signal_at_end_of_parent(number: signal.Signals) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
        return True
    return False
