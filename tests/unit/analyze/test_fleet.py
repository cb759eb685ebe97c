"""Runs from many machines: kinds of machines are ranked, and bad runs are lines."""

import csv
import dataclasses
import itertools
import json
import shutil

import pytest
from fakes import MACHINE, FakeLauncher, runner_of
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.analyze.compare import case_matching, fleet
from harness.analyze.compare.fleet import CaseInRun, RunSummary
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


def compared(runs, prices=None):
    return fleet.compare([fleet.summarize(run) for run in runs], prices or {})


def test_each_case_is_ranked_by_throughput(runs):
    """With the price of a million samples; who has no case is not in it."""
    found = compared(runs, {"two": 7.2, "one": 3.6})
    rows = {(row.case, row.rank): row for row in found.rows}
    first, second, third = (rows["baseline 256", rank] for rank in (1, 2, 3))
    assert [row.machine[:4] for row in (first, second, third)] == ["Fast", "Slow", "Old "]
    assert first.samples_per_s.value == pytest.approx(1000)
    assert [row.of_first.value for row in (first, second, third)] == pytest.approx([1.0, 0.5, 0.25])
    assert first.price_per_million == pytest.approx(2.0)
    assert second.price_per_million == pytest.approx(2.0)
    assert second.verdict == "slower"
    assert ("baseline 1024", 3) not in rows
    assert [kind[:4] for kind in found.kinds] == ["Fast", "Slow", "Old "]
    assert found.notes == ["fewer cases than most runs, which have 2: three (1)"]


def test_a_price_of_no_run_and_runs_without_a_common_case_are_refused(runs, tmp_path):
    """With what there is."""
    with pytest.raises(
        HarnessError, match="a price names no run: ten; the runs are one, two, three"
    ):
        compared(runs, {"ten": 1.0})
    other = run_of(tmp_path, "four", 1.0, "CPU", (Case("improved", "mnist", 8),))
    with pytest.raises(HarnessError, match="share no case"):
        compared([runs[2], other])
    again = run_of(tmp_path, "five", 1.0, "Fast CPU")
    with pytest.raises(HarnessError, match="runs of one kind have two prices: Fast CPU"):
        compared([*runs, again], {"two": 1.0, "five": 2.0})


def test_machines_of_a_kind_are_one_row_with_their_spread(tmp_path):
    """And the run that is slower than its kind stands first among its runs."""
    factors = {"a": 1.0, "b": 1.02, "c": 0.98, "sick": 1.5}
    runs = [run_of(tmp_path, name, factor, "Fast CPU") for name, factor in factors.items()]
    runs += [run_of(tmp_path, f"slow{n}", 3.0 + 0.1 * n, "Slow CPU") for n in range(3)]
    found = compared(runs)
    assert [(row.case, row.rank, row.runs) for row in found.rows] == [
        ("baseline 256", 1, 4),
        ("baseline 256", 2, 3),
        ("baseline 1024", 1, 4),
        ("baseline 1024", 2, 3),
    ]
    first, second = found.rows[:2]
    assert first.samples_per_s.low < 750 < first.samples_per_s.value < 1000
    assert first.samples_per_s.high == pytest.approx(1000 / 0.98, rel=0.02)
    assert second.verdict == "slower"
    assert found.runs[0].run == "sick"
    assert found.runs[0].of_kind < 0.8


def test_a_case_over_the_control_of_its_own_run_is_the_same_on_all_machines(runs):
    """However fast they are: the control is what most comparisons have as reference."""
    found = compared(runs[:2])
    assert found.control == "baseline 256"
    over = [row.over_control.value for row in found.rows if row.case == "baseline 1024"]
    assert over == pytest.approx([1.25, 1.25])
    assert [row.over_control.value for row in found.rows if row.case == "baseline 256"] == [1, 1]


def test_a_run_of_another_protocol_is_left_out_with_a_line(runs):
    """The version of most runs counts."""
    older = dataclasses.replace(
        runs[0], id="old", protocol=dataclasses.replace(runs[0].protocol, version=1)
    )
    found = compared([*runs, older])
    assert any("old is left out: it was measured by protocol version 1" in n for n in found.notes)
    assert "old" not in {row.run for row in found.runs}


logs = st.floats(-12, 2)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), logs, logs), min_size=2, max_size=12),
    st.floats(-3, 3),
)
def test_the_ranking_does_not_depend_on_the_unit_of_time(runs, shift):
    """Nor on the order of the runs."""

    def summaries(added):
        return [
            RunSummary(
                str(number),
                kind,
                "2026-11-27T10:00:00+00:00",
                2,
                {
                    BASE: CaseInRun(base + added, ((1e-4, 5),), None, {}),
                    LARGE: CaseInRun(large + added, None, None, {BASE: base - large}),
                },
            )
            for number, (kind, base, large) in enumerate(runs)
        ]

    def told(found):
        return [(row.case, row.rank, row.machine, row.runs, row.verdict) for row in found.rows]

    plain = fleet.compare(summaries(0.0), {})
    for row in plain.rows:
        assert row.of_first.value <= 1 + 1e-9
        if row.of_first.low is not None:
            assert row.of_first.low <= row.of_first.value <= row.of_first.high
    for case in {row.case for row in plain.rows}:
        rates = [row.samples_per_s.value for row in plain.rows if row.case == case]
        assume(all(one > 1.001 * two for one, two in itertools.pairwise(rates)))
    assert told(plain) == told(fleet.compare(summaries(shift), {}))
    assert told(plain) == told(fleet.compare(summaries(0.0)[::-1], {}))


def test_compare_writes_the_page(runs, tmp_path, capsys, monkeypatch):
    """And the same as CSV and on the console; a damaged and an unfinished run are lines."""
    monkeypatch.setenv("COLUMNS", "400")  # so that no path is broken
    page = tmp_path / "pages" / "ranking.html"
    folders = [tmp_path / run.id for run in runs]
    damaged = tmp_path / "damaged"
    shutil.copytree(folders[0], damaged)
    (damaged / "run.json").write_text((damaged / "run.json").read_text()[:-300])
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "journal.jsonl").write_text("")
    names = [str(folder) for folder in (*folders, damaged, unfinished)]
    assert main(["compare", *names, "--page", str(page), "--prices", "two=7.2"]) == 0
    text = page.read_text()
    assert "Best mean rank: Fast CPU" in text
    assert text.index("Fast CPU, 2 CPUs</td>") < text.index("Slow CPU, 2 CPUs</td>")
    assert "http://" not in text.replace("http://www.w3.org", "")
    with page.with_suffix(".csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5
    shown = capsys.readouterr().out
    assert "Machines, ranked in each case" in shown
    assert "damaged/run.json is damaged" in " ".join(shown.split())
    assert "unfinished/run.json cannot be read" in " ".join(shown.split())
    assert main(["compare", *names, "--page", str(page), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["ranking"]) == 5
    useless = [str(damaged), str(unfinished), str(folders[0])]
    assert main(["compare", *useless, "--page", str(page)]) == 2
    assert "1 of 3 runs can be read, and a ranking takes two; left out" in capsys.readouterr().err
    assert main(["compare", *names, "--page", str(page), "--prices", "two=much"]) == 2
    assert "--prices: two: 'much' is not a number above 0" in capsys.readouterr().err


def test_a_folder_of_results_stands_for_all_of_its_runs(tmp_path, capsys):
    """As a job array writes them, one folder per task."""
    for task, factor in (("0", 1.0), ("1", 2.0)):
        run_of(tmp_path / task / "runs", "20261127-100000", factor, f"CPU {task}")
    page = str(tmp_path / "fleet.html")
    assert main(["compare", str(tmp_path / "0"), str(tmp_path / "1"), "--page", page]) == 0
    assert "CPU 1, 2 CPUs" in capsys.readouterr().out


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
