"""Show what `doctor` has found, a line each, with what to do about it."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.records import Finding

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
        text = Text(finding.text)
        if finding.advice:
            text.append(f"\n→ {finding.advice}", style="italic")
        line = Table.grid(padding=(0, 2))
        line.add_column(width=11)
        line.add_column(width=7)
        line.add_column(ratio=1)
        line.add_row(Text(subject, "bold"), Text(finding.state, _STYLES[finding.state]), text)
        self._console.print(line)
