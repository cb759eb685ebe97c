"""Read many runs side by side, and keep of each what a command needs."""

import concurrent.futures
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from harness.errors import HarnessError
from harness.records import Run, folders

T = TypeVar("T")
_MOST_PROCESSES = 8
_AT_ONCE = 8  # runs that a process reads before it answers


def runs(paths: Sequence[Path], keep: Callable[[Run], T]) -> tuple[list[T], list[str]]:
    """Return what is kept of each run, and a line for each that cannot be read.

    Args:
        paths: The folders of the runs.
        keep: A function of a module, since other processes call it.
    """
    processes = min(_MOST_PROCESSES, os.cpu_count() or 1, 1 + len(paths) // _AT_ONCE)
    one = functools.partial(_kept, keep)
    if processes == 1:
        found = [one(path) for path in paths]
    else:
        with concurrent.futures.ProcessPoolExecutor(processes) as pool:
            found = list(pool.map(one, paths, chunksize=_AT_ONCE))
    kept = [its[0] for its in found if not isinstance(its, str)]
    return kept, [its for its in found if isinstance(its, str)]


def _kept(keep: Callable[[Run], T], path: Path) -> tuple[T] | str:
    from harness.report.names import shortened

    try:
        with folders.errors_as_bad_run(path):
            return (keep(shortened(folders.read(path))),)
    except HarnessError as error:
        return f"left out: {error}"
