"""A process with all that it has started, daemons among them."""

import contextlib
import ctypes
from collections.abc import Iterable

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 10  # a process may fork while it is being ended


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be found.

    See prctl(2), PR_SET_CHILD_SUBREAPER. Elsewhere than on Linux this does nothing.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)


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
