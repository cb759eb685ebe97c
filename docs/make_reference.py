"""Write docs/command-line.md and docs/api.md from the declarations: a part of `tox -e examples`."""

import argparse
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
from harness.commands import parser
from harness.commands.options import options_of
from harness.commands.plugin import hooks
from harness.records import Counters, Epoch, Estimate, ModelFacts, Round, Start
from harness.report.saved_run import SavedRun
from harness.tables import TABLES
from harness.tables.declare import header

DOCS = Path(__file__).resolve().parent
FIXTURES = (hooks.train, hooks.climb, hooks.tune, hooks.converge)
RECORDS = (
    *(harness.Run, harness.Case, harness.Measurement, Round, Counters, Start, ModelFacts),
    *(Estimate, harness.Training, Epoch, harness.Failure),
)


def cell(text: str) -> str:
    """Escape what a table of Markdown would take for a border."""
    return text.replace("|", "\\|")


def command_line() -> Iterator[str]:
    """Yield the lines of the page of commands and options."""
    yield "# Command line"
    yield ""
    yield "This page is generated from the program (`docs/make_reference.py`)."
    yield ""
    yield "`harness` and the module of that name are the same program. Exit codes: 0 done; 1 a "
    yield "case failed, or a threshold was crossed; 2 wrong usage; 130 interrupted. Under pytest, "
    yield "exit codes are pytest's; wrong usage is 4."
    for action in parser.build()._actions:  # noqa: SLF001  (argparse has no public way)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            about = {choice.dest: choice.help for choice in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                yield from ("", f"## harness {name}", "", f"{sentence(about[name] or '')}", "")
                yield from ("| argument | meaning |", "| --- | --- |")
                yield from map(argument, command._actions)  # noqa: SLF001
    yield from ("", "## pytest", "")
    yield "Options of the suites. Each has an ini key of the same name with underscores: "
    yield "`--train-batch-sizes` is `train_batch_sizes`."
    yield from ("", "| option | meaning |", "| --- | --- |")
    for option in options_of("suites"):
        value = f"[{option.metavar}]" if option.bare else option.metavar
        yield f"| `--train-{option.name} {cell(value)}` | {cell(option.help)} |"


def argument(action: argparse.Action) -> str:
    """Return the row of an argument or option."""
    metavar = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return f"| `{cell(metavar)}` | {cell(action.help or '')} |"
    takes_value = action.nargs != 0
    value = f"[{metavar}]" if action.nargs == "?" else metavar
    written = f"{action.option_strings[-1]} {value}" if takes_value else action.option_strings[-1]
    return f"| `{cell(written)}` | {cell((action.help or '').replace('%%', '%'))} |"


def sentence(text: str) -> str:
    """Return text as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def api() -> Iterator[str]:
    """Yield the lines of the page of the Python interface."""
    yield "# Python API"
    yield ""
    yield "This page is generated from the docstrings (`docs/make_reference.py`)."
    yield from ("", "## Reading runs", "", *fenced(inspect.getdoc(harness) or ""))
    yield from described("harness.read", harness.read)
    yield from ("", f"### {SavedRun.__name__}", "", *fenced(inspect.getdoc(SavedRun) or ""))
    for name, member in vars(SavedRun).items():
        if not name.startswith("_") and (callable(member) or isinstance(member, property)):
            yield from described(f"SavedRun.{name}", member)
    yield from ("", "## Tables", "", "Names for `table`, and the columns of the CSV files.")
    for table in TABLES:
        yield from ("", f"### {table.name}", "", f"{table.title}.".replace("?.", "?"), "")
        yield ", ".join(f"`{name}`" for name in header(table))
    yield from ("", "## Fixtures of the pytest plugin")
    for fixture in FIXTURES:
        function = inspect.unwrap(getattr(fixture, "_fixture_function", fixture))
        yield from ("", f"### {function.__name__}", "", *fenced(inspect.getdoc(function) or ""))
    yield from ("", "## Records", "", "Fields in SI units, the unit in the name. None is unknown.")
    for record in RECORDS:
        yield from ("", f"### {record.__name__}", "", "```python", *fields(record), "```")
    yield from ("", "### HarnessError", "", inspect.getdoc(harness.HarnessError) or "")


def described(name: str, member: Callable[..., object] | property) -> Iterator[str]:
    """Yield the heading and docstring of a function or property."""
    yield from ("", f"### {name}", "", "```python", f"{name}{signature(member)}", "```", "")
    yield from fenced(inspect.getdoc(member) or "")


def signature(function: Callable[..., object] | property) -> str:
    """Return a signature without `self`; of a property, its type."""
    if isinstance(function, property):
        return f": {inspect.get_annotations(function.fget)['return']}"
    text = re.sub(r"pathlib\.(_local\.)?", "", str(inspect.signature(function)))
    return re.sub(r"-> '([\w.]+)'", r"-> \1", re.sub(r"\(self(, )?", "(", text))


def fenced(docstring: str) -> Iterator[str]:
    """Yield a docstring as it is written."""
    yield from ("```text", *docstring.splitlines(), "```")


def fields(record: type) -> Iterator[str]:
    """Yield the source of a record up to its first method: its fields and their comments."""
    quotes = 0
    for line in inspect.getsource(record).splitlines():
        if re.match(r"    (@|def )", line):
            break
        if line.strip():
            yield line
        quotes += (ends := line.count('"""'))
        if ends and quotes == 2:
            yield ""


def pages() -> dict[Path, str]:
    """Return the text of each page."""
    made = {"command-line.md": command_line(), "api.md": api()}
    return {
        DOCS / name: "\n".join(line.rstrip() for line in lines) + "\n"
        for name, lines in made.items()
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
