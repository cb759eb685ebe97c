"""Make, find and read the runs of a results folder."""

import contextlib
import datetime
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.errors import BadRun, UnknownName
from harness.records import run_file
from harness.records.journal import unwritable

_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
RUNS = "runs"  # the folder of runs in one of results
read = run_file.read


def new_run_folder(results: Path, kind: str = RUNS) -> Path:
    """Make the folder of a new run, named by the time, so that names sort by start.

    Raises:
        BadRun: the folder cannot be made.
    """
    name = f"{datetime.datetime.now().astimezone():%Y%m%d-%H%M%S}"
    number = 1
    while True:
        folder = results / kind / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise unwritable(folder, error.strerror) from error


def locate(name: str, results: Path, kind: str = RUNS) -> Path:
    """Resolve a run id, a unique beginning of one, a folder, or `latest`.

    The id of a run among the examples is found, too.

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
    begun = [path for path in found if path.name.startswith(name)]
    matches = [path for path in begun if path.name == name] or begun
    if len(matches) != 1:
        what = "several runs begin" if matches else "no run begins"
        known = ", ".join(path.name for path in (matches or found)[-5:]) or "none"
        raise UnknownName(f"{what} with {name!r} in {folder}; there are: {known}")
    return matches[0]


def locate_all(name: str, results: Path) -> list[Path]:
    """Resolve a run as `locate` does; a folder of results stands for all of its runs."""
    inside = Path(name) / RUNS
    if inside.is_dir() and not (Path(name) / run_file.NAME).exists():
        return sorted(path for path in inside.iterdir() if path.is_dir())
    return [locate(name, results)]


@contextlib.contextmanager
def errors_as_bad_run(*folders: Path) -> Iterator[None]:
    """Report an error while runs are summarized as `BadRun`: a file is inconsistent.

    Python's development mode (`python -X dev -m harness`) shows the traceback instead.

    Raises:
        BadRun: there was an error.
    """
    try:
        yield
    except _ERRORS as error:
        if sys.flags.dev_mode:
            raise
        names = " or ".join(str(folder / run_file.NAME) for folder in folders)
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadRun(f"{names} is inconsistent ({why})") from error
