"""Show what `doctor` and `list` have found, a line each."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.records import Finding
from harness.units import printable

_STYLES = {"ok": "green", "note": "yellow", "missing": "dim", "problem": "bold red"}


class Findings:
    """Prints findings as they come; a subject is written once.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._subject = ""

    def show(self, finding: Finding) -> None:
        """Print one finding, broken to the width of the console."""
        subject = "" if finding.subject == self._subject else finding.subject
        self._subject = finding.subject
        text = Text(printable(finding.text))
        if finding.advice:
            text.append(f"\n→ {printable(finding.advice)}", style="italic")
        line = Table.grid(padding=(0, 2))
        line.add_column(width=11)
        line.add_column(width=7)
        line.add_column(ratio=1)
        line.add_row(Text(subject, "bold"), Text(finding.state, _STYLES[finding.state]), text)
        self._console.print(line)


def _levers(found: Mapping[str, str]) -> list[str]:
    """Those that can be tried, and those that cannot by their reason."""
    reasons: dict[str, list[str]] = {}
    for lever, state in found.items():
        reasons.setdefault(state, []).append(lever)
    return [f"{', '.join(its)} ({state})" for state, its in reasons.items()]


def listing(console: Console, found: Mapping[str, Any]) -> None:
    """Print what can be trained here.

    Args:
        console: Where to.
        found: From `measure.inventory`.
    """
    lines = {
        "Variants": [
            ", ".join(found["variants"]),
            f"baseline+CHANGE: {', '.join(found['changes'])}",
            "your own: my_model.py:build, pkg.mod:build, keras.applications:NAME",
        ],
        "Datasets": [
            f"mnist ({found['datasets']['mnist']}), "
            f"{', '.join(name for name in found['datasets'] if name != 'mnist')}",
            "your own: FILE.npz, FILE.py:function",
        ],
        "Backends": [f"{name} ({state})" for name, state in found["backends"].items()],
        "Devices": [f"{name} ({state})" for name, state in found["devices"].items()],
        "Levers": _levers(found["levers"]),
    }
    for subject, texts in lines.items():
        for number, text in enumerate(texts):
            line = Table.grid(padding=(0, 2))
            line.add_column(width=11)
            line.add_column(ratio=1)
            line.add_row(Text("" if number else subject, "bold"), Text(printable(text)))
            console.print(line)
