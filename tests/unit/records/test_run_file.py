"""`run.json`: the same run comes back, whatever of its two forms it has."""

import dataclasses
import gc
import json

import pytest
from fakes import FakeLauncher, runner_of

from harness.errors import BadRun
from harness.records import SCHEMA, Case, run_file, to_json

SMALL, LARGE = Case("baseline", "synthetic", 256), Case("baseline", "synthetic", 1024)


@pytest.fixture
def run(tmp_path):
    """A measurement and a failure."""
    broken = {Case("improved", "synthetic", 256).id: ("oom", "memory ran out", "log")}
    runner = runner_of(tmp_path / "measured", FakeLauncher(failures=broken))
    runner.measure(LARGE, SMALL)
    runner.measure(Case("improved", "synthetic", 256), SMALL)
    return runner.save()


def test_a_run_comes_back_as_it_was(run, tmp_path):
    """Rounds and starts among it."""
    run_file.write(tmp_path, run)
    assert run == run_file.read(tmp_path)


def test_it_is_one_json_document_with_an_outcome_a_line(run, tmp_path):
    """Any tool can read it; this one need not hold all of it."""
    run_file.write(tmp_path, run)
    text = (tmp_path / run_file.NAME).read_text()
    assert [o["type"] for o in json.loads(text)["outcomes"]] == ["measurement", "failure"]
    assert len(run.outcomes) + 2 == len(text.splitlines())


def test_the_rounds_are_columns(run, tmp_path):
    """A list of values a field."""
    run_file.write(tmp_path, run)
    outcome = json.loads((tmp_path / run_file.NAME).read_text())["outcomes"][0]
    assert [r.seconds for r in run.outcomes[0].rounds] == outcome["rounds"]["seconds"]
    assert [s.role for s in run.outcomes[0].starts] == outcome["starts"]["role"]


def test_a_run_without_outcomes_comes_back(run, tmp_path):
    """Of trainings alone."""
    empty = dataclasses.replace(run, outcomes=())
    run_file.write(tmp_path, empty)
    assert empty == run_file.read(tmp_path)


@pytest.mark.parametrize("layout", [{"separators": (",", ":")}, {"indent": 2}])
def test_a_document_of_the_first_schema_is_read(run, tmp_path, layout):
    """A dict a round, in any layout."""
    text = json.dumps({**to_json(run), "schema": 1}, **layout)
    (tmp_path / run_file.NAME).write_text(text)
    assert dataclasses.replace(run, schema=1) == run_file.read(tmp_path)


def test_another_schema_is_refused(run, tmp_path):
    """Before its outcomes are looked at."""
    run_file.write(tmp_path, dataclasses.replace(run, schema=SCHEMA + 1))
    with pytest.raises(BadRun, match=f"has schema {SCHEMA + 1}, this version reads 1 and {SCHEMA}"):
        run_file.read(tmp_path)


@pytest.mark.parametrize("part", [0.0, 0.2, 0.7, 0.99])
def test_a_torn_file_is_damaged(run, tmp_path, part):
    """Wherever it ends."""
    run_file.write(tmp_path, run)
    text = (tmp_path / run_file.NAME).read_text()
    (tmp_path / run_file.NAME).write_text(text[: int(part * len(text))])
    with pytest.raises(BadRun, match="is damaged"):
        run_file.read(tmp_path)


def changed(run, folder, **columns):
    """Write a run with other columns of its first outcome's rounds; None for no such column."""
    run_file.write(folder, run)
    path = folder / run_file.NAME
    data = json.loads(path.read_text())
    rounds = {**data["outcomes"][0]["rounds"], **columns}
    data["outcomes"][0]["rounds"] = {k: v for k, v in rounds.items() if v is not None}
    path.write_text(json.dumps(data))
    return folder


@pytest.mark.parametrize(
    "wrong", [{"loss": [1.0]}, {"loss": 1.0}, {"role": [1] * 12}, {"seconds": None}]
)
def test_columns_that_do_not_match_are_damage(run, tmp_path, wrong):
    """One is shorter, no list, of another type, or not there."""
    with pytest.raises(BadRun, match="is damaged"):
        run_file.read(changed(run, tmp_path, **wrong))


def test_a_column_that_is_missing_is_one_of_defaults(run, tmp_path):
    """As a field is; and one of a later version is left out."""
    first = run_file.read(changed(run, tmp_path, steal_seconds=None, later=[])).outcomes[0]
    assert {r.steal_seconds for r in first.rounds} == {None}
    assert len(first.rounds) == len(run.outcomes[0].rounds)


def test_a_file_that_cannot_be_written_is_the_users_to_mend(run, tmp_path):
    """One line."""
    with pytest.raises(BadRun, match="cannot write"):
        run_file.write(tmp_path / "gone", run)


def test_reading_leaves_the_garbage_collector_on(run, tmp_path):
    """Whether the file is whole or not."""
    run_file.write(tmp_path, run)
    run_file.read(tmp_path)
    assert gc.isenabled()
    with pytest.raises(BadRun):
        run_file.read(tmp_path / "gone")
    assert gc.isenabled()
