"""`harness compare`: runs case by case, and a page that ranks them."""

import argparse
from pathlib import Path

from harness.commands import options, output, values
from harness.errors import BadComparison
from harness.records import folders as runs
from harness.records.run_file import gc_paused


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser("compare", help="compare runs, case by case")
    parser.add_argument("runs", nargs="+", metavar="RUN", help=output.RUN)
    parser.add_argument("--reference", help="the run the others are compared with (the first)")
    slower = "exit with 1 if a case is shown to be slower by more, or has newly failed"
    parser.add_argument("--fail-if-slower", metavar="PERCENT", help=slower)
    page = "also write a page that ranks the runs"
    parser.add_argument("--page", type=Path, metavar="FILE.html", help=page)
    prices = "price per hour of each machine, shown on --page"
    parser.add_argument("--prices", metavar="RUN=PRICE,…", help=prices)
    options.finish(parser, "compare", compare)


def compare(arguments: argparse.Namespace) -> int:
    """Compare runs with the first, or with another; return 1 if a threshold is crossed."""
    with gc_paused():
        from harness.analyze.compare import gate, run_diff
        from harness.analyze.compare.ranking import ranking
        from harness.report import run_diffs
        from harness.report.html import ranking_page
        from harness.report.names import shortened

    slower = arguments.fail_if_slower
    share = None if slower is None else gate.threshold(slower)
    reference, *others = _folders(arguments)
    with runs.errors_as_bad_run(reference, *others):
        first, *rest = [runs.read(folder) for folder in (reference, *others)]
        found = run_diff.compare(first, rest)
        if arguments.page is not None:
            short = [shortened(run) for run in (first, *rest)]
            ranking_page.write(ranking(short, _prices(arguments.prices)), short, arguments.page)
        judged = None if share is None else gate.judge(found, share)
        if arguments.json:
            print(run_diffs.to_json_text(found, judged))
        else:
            run_diffs.show(output.console(), found, judged)
    return int(judged is not None and bool(judged.crossed))


def _folders(arguments: argparse.Namespace) -> list[Path]:
    """The folder of the reference, then those of the other runs."""
    results = Path(arguments.output)
    folders = [runs.locate(name, results) for name in arguments.runs]
    if arguments.reference is not None:
        reference = runs.locate(arguments.reference, results)
        same = reference.resolve()
        folders = [reference, *(folder for folder in folders if folder.resolve() != same)]
    if len(folders) < 2:
        raise BadComparison("compare takes two runs or more: harness compare RUN RUN")
    return folders


def _prices(text: str | None) -> dict[str, float]:
    """Read `RUN=PRICE,RUN=PRICE`."""
    found = {}
    for part in values.list_of(str)(text or ""):
        run, _, price = part.partition("=")
        found[run] = values.named(f"--prices: {run}", values.positive, price)
    return found
