"""Process trees (Linux): a child ends with its parent, a worker with all that it has started."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable
from typing import NoReturn

import psutil

_PR_SET_PDEATHSIG = 1  # see prctl(2)
_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 10  # a process may fork while it is killed


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be found."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def descendants(pid: int) -> list[psutil.Process]:
    """List the processes below one; empty if it has ended."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def end(processes: Iterable[psutil.Process]) -> None:
    """Kill processes."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def end_strays(pid: int, kept: Iterable[int]) -> None:
    """Kill all descendants of `pid`, which adopts orphans, except `kept` and theirs."""
    going_on = set(kept)
    for _ in range(_ROUNDS):
        strays = [child for child in _living_children(pid) if child.pid not in going_on]
        if not strays:
            return
        end([p for stray in strays for p in (stray, *descendants(stray.pid))])
        psutil.wait_procs(strays, timeout=0.5)


def _living_children(pid: int) -> list[psutil.Process]:
    """List the children of a process that have not ended; none if it has ended itself."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # ended just now
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
    return found


def die_with_parent(parent_pid: int) -> None:
    """Get SIGKILL when the parent ends; exit if the parent has ended already.

    Only on Linux. Elsewhere the closed channel ends the child at its next message.
    """
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != parent_pid:
        os._exit(1)


def exit_with_parent(parent_pid: int) -> None:
    """Raise SystemExit at SIGTERM or when the parent ends, so that children can be killed first.

    A forked child undoes it by `signal.signal(signal.SIGTERM, signal.SIG_DFL)`; the kernel's part
    is not inherited.
    """
    signal.signal(signal.SIGTERM, _exit)
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) and os.getppid() != parent_pid:
        raise SystemExit(1)


def _exit(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise SystemExit(1)


def _prctl(option: int, value: int) -> bool:
    """Call prctl(2); False if there is no such call, which only Linux has."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value)
        return True
    return False
