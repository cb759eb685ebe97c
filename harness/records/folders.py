"""Find and read the runs of a results folder."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.errors import BadRun, UnknownName
from harness.records import Run, run_file

_NONSENSE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


def locate(name: str, results: Path, kind: str = "runs") -> Path:
    """Resolve a run id, a unique beginning of one, a folder, or `latest`.

    A run that stands among the examples has its id, too.

    Args:
        name: What a user typed.
        results: The folder of results.
        kind: The folder in it that holds such runs.

    Raises:
        UnknownName: none or several runs match.
    """
    if name != "latest" and Path(name).is_dir():
        return Path(name)
    folder = results / kind
    found = sorted(path for path in folder.glob("*") if path.is_dir())
    if name == "latest":
        if not found:
            raise UnknownName(f"there is no run in {folder}")
        return found[-1]
    if (results / "examples" / name).is_dir():
        return results / "examples" / name
    matches = [path for path in found if path.name == name] or [
        path for path in found if path.name.startswith(name)
    ]
    if len(matches) != 1:
        what = "several runs begin" if matches else "no run begins"
        known = ", ".join(path.name for path in (matches or found)[-5:]) or "none"
        raise UnknownName(f"{what} with {name!r} in {folder}; there are: {known}")
    return matches[0]


def read(folder: Path) -> Run:
    """Read `run.json`.

    Raises:
        BadRun: it is missing, damaged, or of another schema.
    """
    return run_file.read(folder)


@contextlib.contextmanager
def sensible(*folders: Path) -> Iterator[None]:
    """Take what goes wrong while runs are summarized for a fault of theirs.

    They may come from elsewhere, and hold numbers that no measurement gives. Python's
    development mode (`python -X dev -m harness`) shows where it went wrong.

    Raises:
        BadRun: something did.
    """
    try:
        yield
    except _NONSENSE as error:
        if sys.flags.dev_mode:
            raise
        names = " or ".join(str(folder / run_file.NAME) for folder in folders)
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadRun(f"{names} holds what no measurement gives ({why})") from error
