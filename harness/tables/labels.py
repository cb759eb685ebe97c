"""How rows are named: in columns, in charts, in notes; what all share is said once."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness import units
from harness.analyze.cautions import RANDOM_DATA
from harness.records import Case
from harness.tables.declare import Column, grouped, key_of, value_of

R = TypeVar("R")

VARIANT = Column[Any]("variant", "variant", numeric=False)
BACKEND = Column[Any]("backend", "backend", numeric=False, shared=True, usual="tensorflow")
DEVICE = Column[Any]("device", "device", numeric=False, shared=True)
BATCH = Column[Any]("batch", "batch_size", shared=True)
EACH_BATCH = Column[Any]("batch", "batch_size")
THREADS = Column[Any]("threads", "threads", shared=True)
REFERENCE = Column[Any]("reference", "reference", shared=True)
_PLACES = ("dataset", "backend", "device", "threads", "version")
_SETTINGS = ("precision", "optimizer", "loss", "input_shape", "levers")
_USUAL = (None, (), "float32")
_HERE = "here"  # the version of a case that is not at another commit, or elsewhere
VERSION = Column[Any](
    "version", lambda row: row.case.version or _HERE, numeric=False, shared=True, usual=_HERE
)
CASE = (VARIANT, BACKEND, DEVICE)
SETTING = Column[Any]("setting", lambda row: settings(row.case) or None, numeric=False, shared=True)
COMPARED = (*CASE, BATCH, REFERENCE)


def settings(case: Case) -> str:
    """Write how a case differs from a plain one besides model, data, sizes and place."""
    told = (name for name in _SETTINGS if getattr(case, name) not in _USUAL)
    named = [case.words(name) for name in told]
    if case.jit != (case.backend == "jax"):  # which compiles by default
        named.insert(0, "jit" if case.jit else "no jit")
    return ", ".join(named)


def case_names(cases: Iterable[Case]) -> dict[Case, str]:
    """Name cases by model and batch size, and by what else tells them apart."""
    known = [*dict.fromkeys(cases)]
    told = [name for name in _PLACES if len({getattr(case, name) for case in known}) > 1]
    differ = len({settings(case) for case in known}) > 1
    found = {}
    for case in known:
        more = [_word(name, getattr(case, name)) for name in told]
        more += [settings(case)] if differ and settings(case) else []
        name = f"{case.variant} {case.batch_size}"
        found[case] = f"{name} ({', '.join(more)})" if more else name
    return found


def place_of(rows: Sequence[Any]) -> Callable[[Any], str]:
    """Return what names the device and backend of a row, where the table has several."""
    names = differing(rows, ("device", "backend"))
    return lambda row: "".join(f", {value_of(row, name)}" for name in names)


def macs_sources(rows: Iterable[Any]) -> Iterator[str]:
    """Say how the multiply-accumulates of each variant were counted, or why they were not."""
    sources = {row.case.variant: row.facts.macs_source for row in rows}
    yield from (f"MACs of {variant}: {source}" for variant, source in sources.items())


def dataset(path: str) -> str:
    """Write the name of a dataset, whatever folder it lies in."""
    return "random data" if path == RANDOM_DATA else Path(path).name


_WORDS: dict[str, Any] = {
    "batch_size": "batch {}".format,
    "epochs": "{} epochs".format,
    "device": str.upper,
    "dataset": dataset,
    "version": lambda name: name or _HERE,
    "threads": lambda count: units.plural(count, "thread"),
}


def words(row: Any, fields: Iterable[str]) -> str:
    """Write fields of a row: `baseline, batch 256, CPU`."""
    return ", ".join(_word(name, value_of(row, name)) for name in fields)


def _word(field: str, value: Any) -> str:
    return str(_WORDS.get(field, str)(value))


def differing(rows: Sequence[Any], fields: Iterable[str]) -> list[str]:
    """List the fields in which rows differ: a label says them."""
    return [name for name in fields if len({value_of(row, name) for row in rows}) > 1]


def common(rows: Sequence[Any], fields: Iterable[str]) -> str:
    """Write the fields in which all rows agree: a subtitle says them once."""
    fields = list(fields)
    told = differing(rows, fields)
    return words(rows[0], [name for name in fields if name not in told])


def names_of(
    rows: Sequence[Any], always: Sequence[str], sometimes: Sequence[str]
) -> tuple[list[str], str]:
    """Name rows in as few words as they need.

    Args:
        rows: All.
        always: Fields that stand in every name.
        sometimes: Fields that stand in a name where they are not as in most rows.

    Returns:
        A name per row, and what all or most rows have in common.
    """
    usual = {f: Counter(value_of(row, f) for row in rows).most_common(1)[0][0] for f in sometimes}
    told = [
        words(row, (*always, *(f for f in sometimes if value_of(row, f) != usual[f])))
        for row in rows
    ]
    varied = differing(rows, sometimes)
    same = ", ".join(_word(f, usual[f]) for f in sometimes if f not in varied)
    most = ", ".join(_word(f, usual[f]) for f in varied)
    return told, "; ".join(filter(None, (same, most and f"{most} unless named")))


def lines_of(
    rows: Sequence[R], always: Sequence[str], sometimes: Sequence[str] = ()
) -> Iterator[tuple[int, str, list[R]]]:
    """Yield the rows of each line of a chart with its number and label.

    Args:
        rows: All.
        always: Fields that tell lines apart and stand in every label.
        sometimes: Fields that do so where rows differ.
    """
    by = [*always, *differing(rows, sometimes)]
    for index, its in enumerate(grouped(rows, key_of(*by)).values()):
        yield index, words(its[0], by), its
