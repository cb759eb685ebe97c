"""A case over many runs: where its speedup changed, and what came with it."""

import csv
import dataclasses
import importlib.util
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from fakes import MACHINE, FakeLauncher, runner_of
from hypothesis import given
from hypothesis import strategies as st

from harness.analyze.history import change_points, series
from harness.commands.parser import main
from harness.errors import HarnessError
from harness.records import Case

ROOT = Path(__file__).parents[3]
BASE, LARGE = Case("baseline", "mnist", 256), Case("baseline", "mnist", 1024)
SIGMA, STEP, POINTS = 0.02, math.log(1.05), 60


def simulated(seed, step, at, errors=SIGMA, n=POINTS):
    """Changes found in a series with one step, or none."""
    noise = np.random.default_rng(seed).normal(0, SIGMA, n)
    return change_points.find(noise + step * (np.arange(n) >= at), np.full(n, errors))


@pytest.mark.parametrize("errors", [0.0, SIGMA / 2, SIGMA])
def test_a_step_of_five_percent_is_found_within_two_points(errors):
    """In nine of ten histories at 2 % of scatter, whatever of it the errors tell."""
    found = 0
    for seed in range(100):
        at = 10 + seed % 40
        found += any(abs(one.index - at) <= 2 for one in simulated(seed, STEP, at, errors))
    assert found >= 90


@pytest.mark.parametrize("errors", [0.0, SIGMA / 2, SIGMA])
def test_a_history_without_a_change_has_none(errors):
    """But for one in twenty."""
    assert sum(bool(simulated(seed, 0.0, 0, errors)) for seed in range(200)) <= 10


def test_the_changes_are_those_of_apache_otava():
    """Its recorded answers: what it finds is found here, and here are no more false alarms."""
    script = ROOT / "docs" / "evidence" / "change_points.py"
    module = importlib.util.module_from_spec(
        spec := importlib.util.spec_from_file_location("change_points_evidence", script)
    )
    spec.loader.exec_module(module)
    otava = json.loads((Path(__file__).parent / "otava.json").read_text(encoding="utf-8"))
    plain, _, stepped = module.histories(len(otava["plain"]))
    its = [(module.ours(y), found) for y, found in zip(stepped, otava["stepped"], strict=True)]
    both = [any(abs(a - b) <= 2 for a in here for b in there) for here, there in its if there]
    assert len(both) >= 90
    assert sum(both) >= 0.95 * len(both)
    assert sum(bool(module.ours(y)) for y in plain) <= sum(map(bool, otava["plain"]))


def test_the_interval_of_a_change_holds_it():
    """In nineteen of twenty, about; a change and its reversal are two."""
    held = [one.size for seed in range(100) for one in simulated(seed, 3 * STEP, 30)]
    assert sum(size.low <= 3 * STEP <= size.high for size in held) >= 88
    places = np.arange(POINTS)
    values = np.where((places >= 20) & (places < 30), STEP, 0.0)
    values = values + np.random.default_rng(0).normal(0, 0.005, POINTS)
    found = change_points.find(values, np.full(POINTS, 0.005))
    assert [one.index for one in found] == [20, 30]


def test_a_wide_interval_weighs_little():
    """Runs that say so themselves do not make a change."""
    values, errors = np.zeros(20), np.full(20, 1e-3)
    values[10:13], errors[10:13] = 0.1, 0.2
    assert change_points.find(values, errors) == []
    assert change_points.find(values, np.full(20, 1e-3)) != []


@given(st.lists(st.floats(-1, 1), max_size=40), st.floats(1e-3, 1.0))
def test_segments_have_three_points_at_least(values, error):
    """Whatever the values are; a series read backwards has as many changes."""
    errors = [error] * len(values)
    found = [one.index for one in change_points.find(values, errors)]
    ends = [0, *found, len(values)]
    if found:
        assert min(b - a for a, b in itertools.pairwise(ends)) >= change_points.FEWEST_POINTS
    assert len(change_points.find(values[::-1], errors)) == len(found)


def run_of(folder, number, slower, machine=MACHINE, cases=(BASE, LARGE)):
    """A run in which the larger batch is so many times slower; its machine has its hour."""
    place = folder / "runs" / f"202611{1 + number // 24:02}-{number % 24:02}0000"
    place.mkdir(parents=True)
    rng = np.random.default_rng(number)
    hour = math.exp(rng.normal(0, 0.2))

    def seconds(case):
        return hour * (1e-3 if case.batch_size == 256 else slower * math.exp(rng.normal(0, 0.01)))

    runner = runner_of(place, FakeLauncher(seconds), 3, machine)
    for case in cases:
        runner.measure(case, cases[0])
    run = dataclasses.replace(runner.save(), started_at=f"2026-11-{1 + number // 24:02}T{number}")
    runner.close()
    return run


def machine_of(number):
    """A new commit per run, and a newer Keras from the twelfth on."""
    keras = "3.15.1" if number < 12 else "3.16.0"
    libraries = {**MACHINE.libraries, "keras": keras}
    return dataclasses.replace(MACHINE, commit=f"c{number:06}", libraries=libraries)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Twenty runs; from the twelfth on the larger batch is 20 % slower."""
    folder = tmp_path_factory.mktemp("history")
    for number in range(20):
        run_of(folder, number, 1e-3 * (1.0 if number < 12 else 1.2), machine_of(number))
    return folder


def test_a_change_has_its_size_its_commits_and_its_libraries(history, capsys):
    """Though the machine is up to half as fast in some hours."""
    assert main(["history", str(history), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (one,) = found["series"]
    assert (one["case"], one["reference"]) == ("baseline 1024", "baseline 256")
    (change,) = one["changes"]
    assert change["index"] == 12
    assert change["ratio"]["low"] <= 1 / 1.2 <= change["ratio"]["high"]
    assert change["commits"] == "c000011..c000012"
    assert change["libraries"] == ["keras 3.15.1 → 3.16.0"]
    assert len(one["points"]) == 20
    assert max(p["sample_us"] for p in one["points"]) > 1.5 * min(
        p["sample_us"] for p in one["points"]
    )


def test_the_page_has_a_chart_and_the_file_all_points(history, tmp_path, capsys):
    """The title of the chart is the finding."""
    page = tmp_path / "pages" / "history.html"
    assert main(["history", str(history), "--page", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "last change" in shown
    text = page.read_text(encoding="utf-8")
    assert "baseline 1024: 17 % slower since 20261101-120000" in text
    assert text.count("<svg") == 1
    with page.with_suffix(".csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert [row["run"] for row in rows if row["change"]] == ["20261101-120000"]


def test_each_machine_has_a_history_of_its_own(tmp_path):
    """A run of another machine is no change."""
    other = dataclasses.replace(MACHINE, id="other", cpu="Other CPU")
    runs = [run_of(tmp_path, n, 1e-3, MACHINE if n % 2 else other) for n in range(4)]
    found = series.collect(map(series.summarize, runs))
    assert [len(one.points) for one in found.series] == [2, 2]
    assert len({one.machine for one in found.series}) == 2


def test_too_few_runs_are_one_line(tmp_path, capsys):
    """And runs that share nothing."""
    assert main(["history", str(tmp_path)]) == 2
    assert "there are not two runs in" in capsys.readouterr().err
    one = run_of(tmp_path, 0, 1e-3)
    with pytest.raises(HarnessError, match="no comparison is in two runs of one machine"):
        series.collect([series.summarize(one)])


def test_a_run_that_cannot_be_read_is_a_line(history, tmp_path, capsys):
    """The others are shown."""
    broken = tmp_path / "runs" / "20261102-000000"
    broken.mkdir(parents=True)
    (broken / "run.json").write_text("{")
    for number in range(2):
        run_of(tmp_path, number, 1e-3)
    assert main(["history", str(tmp_path)]) == 0
    assert "left out: " in capsys.readouterr().out
