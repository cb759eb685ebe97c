"""A run that is interrupted at any round and gone on with gives the tables of one that was not."""

import pandas as pd
import pytest
from fakes import FakeLauncher, runner_of
from samples import dataframes

from harness.records import Case

SMALL, LARGE = Case("baseline", "synthetic", 256), Case("baseline", "synthetic", 1024)
ROUNDS = 2 * 3 * 2 * 2  # comparisons, blocks, pairs, sides


MACHINES_OWN = {"ready_s", "cautions"}  # of the machine that runs this test


def seconds(case):
    """Seconds a sample: the same in every run."""
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
