"""A validation as a table and a sentence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.commands.validate.claims import Check
from harness.commands.validate.judgements import PROTOCOL, Measured, by_way
from harness.errors import BadRun
from harness.records import Machine
from harness.report import formats
from harness.tables.declare import Column
from harness.tables.text import TextTable, build

_TITLES = {
    "noise": "A case vs itself",
    "slowdowns": "Known slowdowns",
    "disturbed": "Disturbed by another process",
    "readings": "Readings of known loads",
    "keras": "Harness vs plain Keras",
    "arithmetic": "Arithmetic",
}


def table(part: str, checks: Sequence[Check], machine: Machine) -> TextTable:
    """Write the checks of a part, one row per check."""
    return build(_TITLES[part], _COLUMNS, checks, caption=caption(machine))


_COLUMNS = (
    Column[Check]("tried", lambda check: check.subject, numeric=False),
    Column[Check]("must hold", lambda check: check.claim, numeric=False),
    Column[Check]("found [95 %]", lambda check: check.found, numeric=False),
    Column[Check]("n", lambda check: str(check.n), rank=1),
    Column[Check]("verdict", lambda check: check.verdict, numeric=False),
)


def caption(machine: Machine) -> str:
    """Name the machine and its libraries."""
    libraries = ", ".join(
        f"{name} {machine.libraries[name]}"
        for name in ("tensorflow", "keras")
        if name in machine.libraries
    )
    return f"{machine.cpu}, {machine.usable_cpus} CPUs; {libraries}, Python {machine.python}"


def sentence(found: Mapping[str, Sequence[Check]]) -> str:
    """Summarize all checks in one line."""
    counts = Counter(check.verdict for checks in found.values() for check in checks)
    claims = sum(counts.values()) - counts["for comparison"]
    words = [f"{counts['holds']} of {claims} claims hold"]
    if counts["falls short"]:
        words.append(f"{counts['falls short']} fall short")
    if counts["not shown"]:
        words.append(f"{counts['not shown']} undecided (a higher effort decides more)")
    return "; ".join(words) + "."


def draw(folder: Path, name: str, measured: Measured, machine: Machine) -> None:
    """Draw the intervals of a part and the true values.

    Raises:
        BadRun: the folder cannot be written.
    """
    from harness.commands.validate.chart import intervals

    ways = by_way(measured)
    if any(trial.slowdown for trial, _ in measured):
        ways = {PROTOCOL: ways[PROTOCOL]}  # the other methods do not apply to slowed cases
    figure = intervals(_TITLES[name], ways, caption(machine))
    try:
        for ending in ("png", "svg"):
            figure.savefig(folder / f"{name}.{ending}", bbox_inches="tight")
    except OSError as error:
        raise BadRun(f"cannot write to {folder}: {error.strerror}") from error


def show(console: Console, part: str, checks: Sequence[Check], machine: Machine) -> None:
    """Print the table of a part."""
    console.print()
    console.print(formats.to_rich(table(part, checks, machine), console.width))


def conclude(console: Console, found: Mapping[str, Sequence[Check]], machine: Machine) -> None:
    """Print the machine and the summary."""
    console.print()
    console.print(caption(machine), markup=False, highlight=False)
    console.print(Text(sentence(found), "bold"))
