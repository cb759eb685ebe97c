"""Process trees (Linux): a child ends with its parent, a worker with all that it has started."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable
from typing import NoReturn

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 10  # a process may fork while it is being ended


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be found.

    See prctl(2), PR_SET_CHILD_SUBREAPER. Elsewhere than on Linux this does nothing.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def descendants(pid: int) -> list[psutil.Process]:
    """List the processes below one; empty where it has gone."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def end(processes: Iterable[psutil.Process]) -> None:
    """End processes, with no chance to object."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def end_strays(pid: int, kept: Iterable[int]) -> None:
    """End what is below a process but for some of its children and what is below them.

    Args:
        pid: One that adopts orphans.
        kept: Children of it that go on.
    """
    going_on = set(kept)
    for _ in range(_ROUNDS):
        strays = [child for child in _living_children(pid) if child.pid not in going_on]
        if not strays:
            return
        end([p for stray in strays for p in (stray, *descendants(stray.pid))])
        psutil.wait_procs(strays, timeout=0.5)


def _living_children(pid: int) -> list[psutil.Process]:
    """List the children of a process that have not ended; none where it has gone itself."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # ended just now
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
    return found


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the parent ends; exit if it already has.

    See prctl(2), PR_SET_PDEATHSIG. Without Linux's libc this does nothing:
    there the closed channel ends the child at its next message.
    """
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != parent_pid:
        os._exit(1)


def exit_with_parent(parent_pid: int) -> None:
    """Raise SystemExit when the parent ends or SIGTERM comes, so that children can be ended first.

    Undone in a forked child by `signal.signal(signal.SIGTERM, signal.SIG_DFL)`; the kernel's
    promise is not inherited.
    """
    signal.signal(signal.SIGTERM, _exit)
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) and os.getppid() != parent_pid:
        raise SystemExit(1)


def _exit(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise SystemExit(1)


def _prctl(option: int, value: int) -> bool:
    """Whether there is such a call: there is on Linux."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value)
        return True
    return False
