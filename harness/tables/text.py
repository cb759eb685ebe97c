"""A table as plain text, built in one way; `report.formats` writes it for terminals and files."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from harness import units
from harness.analyze.verdicts import DEFINITION
from harness.records import Case, Machine, Run
from harness.records import protocol as protocols
from harness.tables.declare import Column, Table, given
from harness.tables.labels import dataset

R = TypeVar("R")


@dataclasses.dataclass(frozen=True, slots=True)
class TextTable:
    """Plain text, ready for any format.

    Attributes:
        columns: Headings, units included.
        rows: One tuple per row.
        numeric: Which columns are aligned to the right.
        ranks: See `declare.Column.rank`.
        notes: What a reader must know of single cells, a line each.
        doubts: Cautions and failures, a line each.
        caption: Machine and protocol; the same for every table of a run.
        verdicts: Of a column that states verdicts: the verdict of each row, by its number.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    ranks: tuple[int, ...]
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    caption: str = ""
    verdicts: Mapping[int, tuple[str | None, ...]] = dataclasses.field(default_factory=dict)


def of_run(table: Table[R], rows: Sequence[R], run: Run) -> TextTable:
    """Write a declared table of a run as text."""
    shown = table.selected(rows)
    hidden = len(rows) - len(shown)
    left_out = [f"{hidden} more row{'s' if hidden > 1 else ''} in the file"] if hidden else []
    return build(
        table.title,
        table.columns,
        shown,
        notes=(*table.notes(shown), *left_out),
        doubts=_doubts(table, shown),
        caption=caption(run),
    )


def build(
    title: str,
    declared: Iterable[Column[R]],
    rows: Sequence[R],
    *,
    notes: Iterable[str] = (),
    doubts: Iterable[str] = (),
    caption: str = "",
) -> TextTable:
    """Write rows as text.

    A column in which every cell is missing or usual is left out; a shared one in which all
    cells agree moves to the title.
    """
    columns, cells, shared = [], [], []
    for column in declared:
        texts = [column.cell(row) for row in rows]
        values = set(texts)
        if values <= {units.MISSING, column.usual}:
            continue
        if column.shared and len(values) == 1 and len(rows) > 1:
            shared.append(f"{column.heading}: {values.pop()}")
        else:
            columns.append(column)
            cells.append([_plain(text, column) for text in texts])
    plain = units.printable  # names come from users, messages from their models
    return TextTable(
        title=plain(title + (f" ({', '.join(shared)})" if shared else "")),
        columns=tuple(column.heading for column in columns),
        rows=tuple(zip(*cells, strict=True)),
        numeric=tuple(column.numeric for column in columns),
        ranks=tuple(column.rank for column in columns),
        notes=tuple(map(plain, notes)),
        doubts=tuple(map(plain, doubts)),
        caption=plain(caption),
        verdicts={
            number: tuple(column.verdict(row) for row in rows)
            for number, column in enumerate(columns)
            if column.verdict
        },
    )


def _plain(text: str, column: Column[Any]) -> str:
    lines = text.split("\n") if column.breaks else [text]
    return "\n".join(map(units.printable, lines))


def _gpu(machine: Machine) -> str:
    held = machine.gpu_facts and machine.gpu_facts.locked_mhz
    return str(machine.gpu) + (f", its clock held at {held} MHz" if held else "")


def caption(run: Run) -> str:
    """Dataset, machine, libraries and protocol: what a number needs beside it."""
    machine, cases = run.machine, _cases(run)
    datasets = ", ".join(dict.fromkeys(dataset(case.dataset) for case in cases))
    used = {case.backend for case in cases}
    libraries = ", ".join(
        f"{name} {version}"
        for name, version in machine.libraries.items()
        if name in used or name == "keras"
    )
    gpu = any(case.device == "gpu" for case in cases)
    devices = f"{machine.cpu}, {machine.usable_cpus} CPUs" + (f"; {_gpu(machine)}" if gpu else "")
    repeats, how = [], run.protocol
    if run.outcomes:
        repeats.append(f"{how.effort} effort, {protocols.blocks(how)} of fresh workers")
    if run.trainings:
        seeds = len({training.recipe.case.seed for training in run.trainings})
        repeats.append(f"trained in full with {seeds} seed{'s' if seeds > 1 else ''}")
    if run.profiles:
        workers = max(len(profile.workers) for profile in run.profiles)
        repeats.append(f"layers traced in {units.plural(workers, 'fresh worker')}")
    steps = f", {how.steps} steps a round" if how.steps else ""
    return f"{datasets} on {devices}; {libraries}; {', '.join(repeats)}{steps}"


def _cases(run: Run) -> list[Case]:
    pairs = [*run.outcomes, *(training.recipe for training in run.trainings)]
    traced = [profile.case for profile in run.profiles]
    return [case for pair in pairs for case in (pair.case, pair.reference)] + traced


def _doubts(table: Table[R], rows: Sequence[Any]) -> Iterator[str]:
    cases: dict[str, list[str]] = {}
    for row in rows:
        for caution in getattr(row, "cautions", ()):
            cases.setdefault(str(caution), []).append(table.name_of(row))
    for text, where in cases.items():
        yield f"Caution: {text} [{', '.join(dict.fromkeys(where))}]"
    yield from (f"Failed: {row.failed}" for row in rows if getattr(row, "failed", None))


def verdict_of(row: Any) -> str:
    """Write the verdict; a reference against itself has none."""
    return "reference vs itself" if row.judged.noise_floor else given(row.judged.verdict)


def judged_notes(rows: Sequence[Any], name: Callable[[Any], str]) -> Iterator[str]:
    """Say how speedups are judged, and what an undecided one could have missed.

    Args:
        rows: Their `judged` are `verdicts.Judged`.
        name: Tells a row from the others.
    """
    found = [row.judged for row in rows]
    if any(judged.verdict is not None for judged in found):
        yield f"verdict: {DEFINITION}"
    unseen = [
        f"{100 * judged.smallest_visible:.0f} % ({name(row)})"
        for row, judged in zip(rows, found, strict=True)
        if judged.verdict == "undecided"
        and not judged.noise_floor
        and judged.smallest_visible is not None
    ]
    if unseen:
        yield (
            "undecided: smallest difference that a run like this finds with 80 % probability: "
            + ", ".join(unseen)
        )
    if any(judged.noise_floor for judged in found):
        yield "reference vs itself: shows the noise; the interval should contain 1"
    if any(judged.published for judged in found):
        yield "published: in the report that the variants come from, on another machine"
