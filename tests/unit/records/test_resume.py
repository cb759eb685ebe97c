"""A run that is interrupted at any round and resumed gives the tables of an uninterrupted one."""

import dataclasses

import pandas as pd
import pytest
from fakes import FakeLauncher, runner_of
from samples import dataframes

from harness.records import (
    Attempt,
    Block,
    Case,
    Ladder,
    Rung,
    Search,
    TriedSize,
    Tuning,
    from_json,
    journal,
    to_json,
)
from harness.records.resume import ResumedRun, unfinished

SMALL, LARGE = Case("baseline", "synthetic", 256), Case("baseline", "synthetic", 1024)
ROUNDS = 3 * 2 * 2 + 3 * 2 * 3  # blocks, turns, workers: two of the reference alone, then a case


MACHINES_OWN = {"ready_s", "cautions"}  # of the machine that runs this test


def seconds(case):
    """Seconds per sample: the same in every run."""
    return 1.0e-3 if case.batch_size == 256 else 0.8e-3


def measure(runner):
    runner.measure(SMALL, SMALL)
    runner.measure(LARGE, SMALL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    launcher = FakeLauncher(seconds)
    runner = runner_of(tmp_path_factory.mktemp("whole"), launcher)
    measure(runner)
    assert launcher.rounds == ROUNDS
    return dataframes(runner.run())


@pytest.mark.parametrize("at", range(1, ROUNDS + 1))
def test_resuming_after_any_round_gives_the_same_tables(tmp_path, whole, at):
    """Every number of every table."""
    launcher = FakeLauncher(seconds)
    launcher.interrupt_at_round = at
    runner = runner_of(tmp_path, launcher)
    with pytest.raises(KeyboardInterrupt):
        measure(runner)
    runner.close()
    again = runner_of(tmp_path, FakeLauncher(seconds))
    measure(again)
    found = dataframes(again.run())
    again.close()
    assert list(whole) == list(found)
    for name, frame in whole.items():
        columns = [column for column in frame if column not in MACHINES_OWN]
        pd.testing.assert_frame_equal(frame[columns], found[name][columns])


RECORDS = (
    Ladder("short", (Rung("larger", LARGE, SMALL),)),
    Search(SMALL, (TriedSize(8, "fits", 0.1, 2**20),), 2**30, "the data ended it", (8,)),
    Tuning(SMALL, (Attempt("jit=on", LARGE, SMALL, environment={"A": "1"}),), ("jit=on",), LARGE),
)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_that_a_run_keeps_is_kept_when_it_is_resumed(tmp_path, record):
    """By its kind and key; another key has none."""
    runner = runner_of(tmp_path, FakeLauncher(seconds))
    runner.keep(record)
    runner.close()
    resumed = runner_of(tmp_path, FakeLauncher(seconds))
    assert record == resumed.kept(type(record), record.key)
    assert resumed.kept(type(record), "another key") is None
    resumed.close()


def test_an_equal_record_is_written_once(tmp_path):
    """A record that has changed replaces the one of its key."""
    runner = runner_of(tmp_path, FakeLauncher(seconds))
    changed = dataclasses.replace(RECORDS[2], stack=())
    for record in (RECORDS[2], RECORDS[2], changed):
        runner.keep(record)
    runner.close()
    assert [entry["kind"] for entry in journal.read(tmp_path)] == ["run", "tuning", "tuning"]
    assert (changed,) == runner.run().tunings


def test_a_block_comes_back_as_it_was(tmp_path):
    """With the plan and the facts of both sides."""
    launcher = FakeLauncher(seconds)
    runner = runner_of(tmp_path, launcher)
    launcher.interrupt_at_round = 8
    with pytest.raises(KeyboardInterrupt):
        runner.measure(LARGE, SMALL)
    runner.close()
    ((block,),) = ResumedRun.read(tmp_path).blocks.values()
    assert block == from_json(Block, to_json(block))
    assert (block.plan.of("case").steps, block.plan.of("reference").steps) == (1, 1)
    assert {"case", "reference"} == set(block.facts)


def begun(results, name, command, *, ended=False):
    """A run of a command, with one comparison; its journal is open."""
    runner = runner_of(results / "runs" / name, FakeLauncher(seconds), command=command)
    runner.measure(SMALL, SMALL)
    if ended:
        runner.end()
    return runner


def test_the_newest_unfinished_run_of_a_command_is_found(tmp_path):
    """Not an ended one, one of another command, a damaged one, or one that is being measured."""
    runs = tmp_path / "runs"
    assert unfinished(runs, "mine") is None
    for name, command, ended in (
        ("1", "mine", False),
        ("2", "mine", False),
        ("3", "another", False),
        ("4", "mine", True),
    ):
        begun(tmp_path, name, command, ended=ended).close()
    (runs / "5").mkdir()
    (runs / "5" / "journal.jsonl").write_bytes(b"\x00\xff")
    assert unfinished(runs, "mine") == runs / "2"
    again = runner_of(runs / "2", FakeLauncher(seconds))
    assert unfinished(runs, "mine") == runs / "1", "it is being measured"
    again.end()
    again.close()
    assert unfinished(runs, "mine") == runs / "1", "it was ended when it was gone on with"
    again = runner_of(runs / "4", FakeLauncher(seconds))
    again.measure(LARGE, SMALL)
    again.close()
    assert unfinished(runs, "mine") == runs / "4", "more was asked of it, and not ended"
