"""`harness compare`: runs case by case, or the machines of many runs, ranked on a page."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from harness.commands import options, output, values
from harness.commands.saved_runs import read
from harness.errors import BadComparison
from harness.records import folders as runs
from harness.records.run_file import gc_paused


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser("compare", help="compare runs, case by case")
    which = f"{output.RUN}; a folder of results stands for all of its runs"
    parser.add_argument("runs", nargs="+", metavar="RUN", help=which)
    parser.add_argument("--reference", help="the run the others are compared with (the first)")
    slower = "exit with 1 if a case is shown to be slower by more, or has newly failed"
    parser.add_argument("--fail-if-slower", metavar="PERCENT", help=slower)
    memory = "exit with 1 if the peak memory of a case is shown to be larger by more"
    parser.add_argument("--fail-if-more-memory", metavar="PERCENT", help=memory)
    page = "rank the kinds of machines in each case, and write that as a page"
    parser.add_argument("--page", type=Path, metavar="FILE.html", help=page)
    prices = "price per hour of each machine, shown on --page"
    parser.add_argument("--prices", metavar="RUN=PRICE,…", help=prices)
    options.finish(parser, "compare", compare)


def compare(arguments: argparse.Namespace) -> int:
    """Compare runs with the first, or with another; return 1 if a threshold is crossed.

    With a page the machines are ranked instead; a threshold is judged all the same.
    """
    with gc_paused():
        from harness.analyze.compare import gate, memory, run_diff
        from harness.report import run_diffs
        from harness.report.pull_request import gates, summary

    share = _percent("--fail-if-slower", arguments.fail_if_slower)
    most_memory = _percent("--fail-if-more-memory", arguments.fail_if_more_memory)
    folders = _folders(arguments)
    if arguments.page is not None:
        _rank(folders, arguments)
        if share is None and most_memory is None:
            return 0
    with runs.errors_as_bad_run(*folders):
        first, *rest = [runs.read(folder) for folder in folders]
        found = run_diff.compare(first, rest)
        judged = None if share is None else gate.judge(found, share)
        peaks = None if most_memory is None else memory.judge(first, rest, most_memory)
    told = [
        *(run_diffs.gate_lines(judged) if judged else ()),
        *gates.lines([peaks] if peaks else []),
    ]
    if arguments.summary is not None:
        lines = [*run_diffs.differences(found), *told]
        text = summary.of_comparison(lines, run_diffs.table(found))
        summary.write(text, Path(arguments.summary))
    if not arguments.json:
        run_diffs.show(output.console(), found, told)
    elif arguments.page is None:
        print(run_diffs.to_json_text(found, judged, peaks))
    crossed = (judged is not None and judged.crossed) or (peaks is not None and peaks.crossed)
    return int(bool(crossed))


def _percent(option: str, text: str | None) -> float | None:
    found: float | None = None if text is None else values.named(option, values.percent, text)
    return found


def _folders(arguments: argparse.Namespace) -> list[Path]:
    """The folder of the reference, then those of the other runs."""
    results = Path(arguments.output)
    folders = [folder for name in arguments.runs for folder in runs.locate_all(name, results)]
    if arguments.reference is not None:
        reference = runs.locate(arguments.reference, results)
        same = reference.resolve()
        folders = [reference, *(folder for folder in folders if folder.resolve() != same)]
    if len(folders) < 2:
        raise BadComparison("compare takes two runs or more: harness compare RUN RUN")
    return folders


def _rank(folders: Sequence[Path], arguments: argparse.Namespace) -> None:
    """Rank the kinds of machines; a run that cannot be read is a line."""
    from harness.analyze.compare import fleet
    from harness.report import formats
    from harness.report.html import fleet_page

    console, prices = output.console(), _prices(arguments.prices)
    summaries, problems = read.runs(folders, fleet.summarize)
    if len(summaries) < 2:
        few = f"{len(summaries)} of {len(folders)} runs can be read"
        raise BadComparison(f"{few}, and a ranking takes two; {problems[0]}")
    found = fleet.compare(summaries, prices)
    found.notes[:0] = problems
    fleet_page.write(found, arguments.page)
    if arguments.json:
        output.print_json(fleet_page.document(found))
        return
    for note in found.notes:
        formats.say(console, f"Caution: {note}")
    console.print(formats.to_rich(fleet_page.ranking(found), console.width, str(arguments.page)))
    console.print(f"\nWritten to {arguments.page}", soft_wrap=True)


def _prices(text: str | None) -> dict[str, float]:
    """Read `RUN=PRICE,RUN=PRICE`."""
    found = {}
    for part in values.list_of(str)(text or ""):
        run, _, price = part.partition("=")
        found[run] = values.named(f"--prices: {run}", values.positive, price)
    return found
