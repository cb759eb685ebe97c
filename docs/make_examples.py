"""Make every table, chart and quoted console of the docs again: `tox -e examples`.

Reads `run.json` of each folder in results/examples, and measures nothing. In a page

- what stands between `<!-- table NAME of RUN -->` and `<!-- end of table -->` is replaced by that
  table;
- the output that follows `$ python -m harness …` in a fence is replaced by what the command
  prints at 100 columns.

Ratios that a sentence of a page quotes are not changed: `pytest tests/test_docs.py` names those
that stand in no table.
"""

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

from harness.commands.parser import main
from harness.records import folders
from harness.report import files
from harness.report.names import shortened

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "results" / "examples"
COLUMNS = 100
TABLE = re.compile(
    r"(^<!-- table (\w+) of ([\w-]+) -->\n)(.*?)(^<!-- end of table -->)", re.DOTALL | re.M
)
CONSOLE = re.compile(r"(^```console\n\$ python -m harness (.*?)\n)(.*?)(^```)", re.DOTALL | re.M)


def pages() -> list[Path]:
    """The pages that may quote tables and consoles."""
    return [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "results" / "README.md"]


def make_files(folder: Path) -> None:
    """Write tables and charts of an example; files that its run no longer gives are deleted."""
    for kind in ("tables", "charts"):
        for path in (folder / kind).glob("*"):
            path.unlink()
    files.write(shortened(folders.read(folder)), folder)


def quoted(page: str) -> str:
    """Put the tables and consoles of today into the text of a page."""
    text = TABLE.sub(lambda found: found[1] + table(found[3], found[2]) + found[5], page)
    return CONSOLE.sub(lambda found: found[1] + printed(found[2]) + found[4], text)


def table(run: str, name: str) -> str:
    """Read a table of an example as Markdown."""
    return (EXAMPLES / run / "tables" / f"{name}.md").read_text(encoding="utf-8")


def printed(command: str) -> str:
    """Run a command of the harness and return what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.chdir(ROOT):
        main(shlex.split(command))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


if __name__ == "__main__":
    os.environ["COLUMNS"] = str(COLUMNS)
    for example in sorted(path for path in EXAMPLES.iterdir() if path.is_dir()):
        make_files(example)
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = quoted(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
