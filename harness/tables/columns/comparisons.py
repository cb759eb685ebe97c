"""How speedups are judged in tables whose rows are dicts."""

from collections.abc import Iterator, Sequence

from harness.analyze.verdicts import DEFINITION
from harness.tables.columns.cells import Row


def judged_notes(rows: list[Row], *names: str) -> Iterator[str]:
    """How speedups are judged, and what could not be seen."""
    unseen = [
        f"{100 * row['smallest_visible']:.0f} % ({_named(row, names)})"
        for row in rows
        if row["verdict"] == "undecided"
        and not row["noise_floor"]
        and row["smallest_visible"] is not None
    ]
    if any(row["verdict"] is not None for row in rows):
        yield margin_note()
    if unseen:
        yield (
            "undecided: smallest difference that a run like this finds with 80 % probability: "
            + ", ".join(unseen)
        )
    if any(row["noise_floor"] for row in rows):
        yield "reference vs itself: the noise floor; its interval should contain 1"
    if any(row.get("published") for row in rows):
        yield "published: from the report that the variants come from, on its own machine"


def margin_note() -> str:
    """How a speedup is judged."""
    return f"verdict: {DEFINITION}"


def _named(row: Row, names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(str(row[name]) for name in names))
