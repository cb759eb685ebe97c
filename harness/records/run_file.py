"""`run.json`, the file of a whole run: one JSON document that is read outcome by outcome.

Each outcome is one line, with its rounds and starts as columns, so that a run of thousands is
never held as dicts. Otherwise the document is `to_json` of the run; a document without such lines
and columns can be read as well.
"""

import contextlib
import dataclasses
import functools
import gc
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.errors import BadRun
from harness.records.codec import from_json, to_columns, to_json
from harness.records.comparison import Failure, Measurement, Outcome
from harness.records.observations import Round, Start, Surroundings
from harness.records.run import READABLE_SCHEMAS, Run

NAME = "run.json"
_BEGIN = '{"type":'
_COLUMNS = {"rounds": Round, "starts": Start, "surroundings": Surroundings}
_compact = functools.partial(json.dumps, separators=(",", ":"))
_GC_THRESHOLD = 50_000  # new objects before a collection; Python's default is some hundreds


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the garbage collector while many long-lived objects are made, then freeze them.

    Records, rows and tables make no cycles, so that later collections may be rare.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)
        if enabled:
            gc.enable()


def line(outcome: Outcome) -> str:
    """Return the line of an outcome, without its line end."""
    if isinstance(outcome, Failure):
        return _compact(to_json(outcome))
    plain = to_json(dataclasses.replace(outcome, rounds=(), starts=(), surroundings=()))
    columns = {name: to_columns(kind, getattr(outcome, name)) for name, kind in _COLUMNS.items()}
    return _compact(plain | columns)


def write(folder: Path, run: Run, lines: Iterable[str] | None = None) -> None:
    """Write the file in one move; BadRun if it cannot be written.

    The outcomes are given as lines if these have been made before.
    """
    head = to_json(dataclasses.replace(run, outcomes=()))
    del head["outcomes"]
    path, partial = folder / NAME, folder / f"{NAME}.part"
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(_compact(head).removesuffix("}") + ',"outcomes":[')
            between = "\n"
            for one in map(line, run.outcomes) if lines is None else lines:
                file.write(between + one)
                between = ",\n"
            file.write("\n]}\n")
        partial.replace(path)
    except OSError as error:
        raise BadRun(f"cannot write {path}: {error.strerror}") from error


@gc_paused()
def read(folder: Path) -> Run:
    """Read the file; BadRun if it is missing, damaged, or of another schema."""
    path = folder / NAME
    try:
        outcomes: list[str] = []
        rest: list[str] = []
        with path.open(encoding="utf-8") as file:
            for text in file:
                (outcomes if text.startswith(_BEGIN) else rest).append(text)
        data = json.loads("".join(rest))
        if data.get("schema") not in READABLE_SCHEMAS:
            known = " and ".join(map(str, READABLE_SCHEMAS))
            raise BadRun(f"{path} has schema {data.get('schema')!r}, this version reads {known}")
        run = from_json(Run, data)
        return dataclasses.replace(run, outcomes=(*map(_outcome, outcomes), *run.outcomes))
    except OSError as error:
        raise BadRun(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise BadRun(f"{path} is damaged: {error}") from error


def _outcome(text: str) -> Outcome:
    data = json.loads(text.rstrip().removesuffix(","))
    kind: type[Outcome] = Measurement if data["type"] == "measurement" else Failure
    return from_json(kind, data)
