"""Runs from many machines on one ranked page."""

import csv
import dataclasses

import pytest
from fakes import MACHINE, FakeLauncher, runner_of

from harness.analyze.compare import case_matching, ranking
from harness.commands.parser import main
from harness.errors import HarnessError
from harness.records import Case

BASE = Case("baseline", "mnist", 256)
LARGE = Case("baseline", "mnist", 1024)


def run_of(folder, name, factor, cpu, cases=(BASE, LARGE)):
    """A run of a machine that is so many times slower."""
    place = folder / name
    place.mkdir(parents=True)
    machine = dataclasses.replace(MACHINE, cpu=cpu, id=cpu)
    launcher = FakeLauncher(lambda case: factor * (1e-3 if case.batch_size == 256 else 0.8e-3))
    runner = runner_of(place, launcher, 3, machine)
    for case in cases:
        runner.measure(case, cases[0])
    run = runner.save()
    runner.close()
    return run


@pytest.fixture
def runs(tmp_path):
    return [
        run_of(tmp_path, "one", 2.0, "Slow CPU"),
        run_of(tmp_path, "two", 1.0, "Fast CPU"),
        run_of(tmp_path, "three", 4.0, "Old CPU", (BASE,)),
    ]


def test_each_case_is_ranked_by_throughput(runs):
    """With the price of a million samples; who has no case is not in it."""
    ranked = ranking.ranking(runs, {"two": 7.2, "one": 3.6})
    rows = {(row.case, row.rank): row for row in ranked}
    first, second, third = (rows["baseline 256", rank] for rank in (1, 2, 3))
    assert [row.machine[:4] for row in (first, second, third)] == ["Fast", "Slow", "Old "]
    assert first.samples_per_s.value == pytest.approx(1000)
    assert [row.of_first.value for row in (first, second, third)] == pytest.approx([1.0, 0.5, 0.25])
    assert first.price_per_million == pytest.approx(2.0)
    assert second.price_per_million == pytest.approx(2.0)
    assert second.verdict == "slower"
    assert ("baseline 1024", 3) not in rows
    assert ranking.order(ranked) == ["two", "one", "three"]


def test_a_price_of_no_run_and_runs_without_a_common_case_are_refused(runs, tmp_path):
    """With what there is."""
    with pytest.raises(
        HarnessError, match="a price names no run: ten; the runs are one, two, three"
    ):
        ranking.ranking(runs, {"ten": 1.0})
    other = run_of(tmp_path, "four", 1.0, "CPU", (Case("improved", "mnist", 8),))
    with pytest.raises(HarnessError, match="share no case"):
        ranking.ranking([runs[2], other], {})


def test_compare_writes_the_page(runs, tmp_path, capsys):
    """And the same as CSV; the console is as without."""
    page = tmp_path / "pages" / "ranking.html"
    folders = [str(tmp_path / run.id) for run in runs]
    assert main(["compare", *folders, "--page", str(page), "--prices", "two=7.2"]) == 0
    text = page.read_text()
    assert "Best mean rank: Fast CPU" in text
    assert text.index("Fast CPU, 2 CPUs</td>") < text.index("Slow CPU, 2 CPUs</td>")
    assert "http://" not in text.replace("http://www.w3.org", "")
    with page.with_suffix(".csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5
    assert "Speedup of each run over one" in capsys.readouterr().out
    assert main(["compare", *folders, "--page", str(page), "--prices", "two=much"]) == 2
    assert "--prices: two: 'much' is not a number above 0" in capsys.readouterr().err


def test_cases_with_levers_or_several_devices_have_names_of_their_own():
    """Else they could not be told apart."""
    changes = [{}, {"levers": ("feed=cached", "malloc=keep")}, {"replicas": 2}]
    changes.append({"replicas": 2, "hosts": 2})
    cases = [dataclasses.replace(BASE, **change) for change in changes]
    assert list(case_matching.names(cases).values()) == [
        "baseline 256",
        "baseline 256, feed=cached + malloc=keep",
        "baseline 256, on 2 devices",
        "baseline 256, on 2 devices, of 2 hosts",
    ]
