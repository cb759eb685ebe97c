"""Runs over fake workers that tests of several folders share."""

import dataclasses

from fakes import MACHINE, FakeLauncher, runner_of

from harness import tables
from harness.analyze.analysis import Analysis
from harness.records import Case
from harness.tables import declare, text

SIZES = (256, 1024, 4096)


def case(variant="baseline", batch_size=256, threads=1, **more):
    return Case(variant, "mnist", batch_size, threads=threads, **more)


def seconds(a_case):
    """The larger batch is 1.25 times as fast, `improved` twice, two threads 1.6 times."""
    factor = {256: 1.0, 1024: 0.8, 4096: 0.8}[a_case.batch_size]
    factor *= 0.5 if a_case.variant == "improved" else 1.0
    return 1e-3 * factor / {1: 1.0, 2: 1.6}[a_case.threads]


def measured(folder, comparisons, failures=None, **changes):
    launcher = FakeLauncher(seconds, failures, {"baseline": 1_199_882, "improved": 72_970})
    one_cpu = dataclasses.replace(MACHINE, usable_cpus=1)  # as many as most cases have threads
    runner = runner_of(folder, launcher, len(comparisons), one_cpu, **changes)
    for one, reference in comparisons:
        runner.measure(one, reference)
    return runner.save()


def batch_sizes(folder, **more):
    return measured(folder, [(case(batch_size=b), case()) for b in SIZES], **more)


def without_fits(run):
    """The run as if no worker had timed a `fit`."""

    def bare(m):
        starts = tuple(dataclasses.replace(start, fit=None) for start in m.starts)
        return dataclasses.replace(m, starts=starts)

    return dataclasses.replace(run, outcomes=tuple(map(bare, run.outcomes)))


# A suite in its shortest form, and where its runs are.
QUICK = ("--train-effort", "quick", "--train-dataset", "synthetic", "--train-threads", "1")


def run_folders(pytester):
    """The runs of a pytester's folder, oldest first."""
    return sorted((pytester.path / "results" / "runs").glob("*"))


def dataframe(run, name):
    """A table of a run as a DataFrame."""
    return tables.frame(Analysis(run), name)


def text_table(run, name):
    """A table of a run as people read it."""
    analysis, table = Analysis(run), {table.name: table for table in tables.TABLES}[name]
    return text.of_run(table, analysis.rows(table), run)


def dataframes(run):
    """Every table of a run that has a row, as DataFrames by name."""
    analysis = Analysis(run)
    return {t.name: tables.frame(analysis, t.name) for t in tables.TABLES if analysis.rows(t)}


def drawn(run, name):
    """The chart of a table; None where there is nothing to draw."""
    table = {table.name: table for table in tables.TABLES}[name]
    return declare.draw(table, Analysis(run), "caption")
