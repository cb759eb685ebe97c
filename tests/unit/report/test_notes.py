"""Notes on a run, one line each."""

import dataclasses
import re

import pytest
from samples import batch_sizes

from harness.analyze import rounds
from harness.report import notes


def test_the_time_of_a_run_is_said_with_the_share_that_was_timed(tmp_path):
    """A worker of the reference counts once, though each comparison holds its rounds."""
    run = batch_sizes(tmp_path)
    (alone,) = [m for m in run.outcomes if m.case == m.reference]
    timed = rounds.timed(dataclasses.replace(run, outcomes=(alone,)))
    assert timed.rounds == pytest.approx(sum(r.seconds for r in alone.rounds))
    shared = dataclasses.replace(alone, case=dataclasses.replace(alone.case, seed=7))
    again = rounds.timed(dataclasses.replace(run, outcomes=(alone, shared)))
    assert again.rounds == timed.rounds

    run = dataclasses.replace(run, wall_seconds=4 * rounds.timed(run).rounds)
    (line,) = notes.duration(run)
    assert re.match(
        r"Measured in .*: 25 % timed rounds, \d+ % timed parts of a fit, the rest", line
    )


def test_a_run_that_does_not_know_its_time_says_nothing(tmp_path):
    """As those of before it was recorded."""
    run = dataclasses.replace(batch_sizes(tmp_path), wall_seconds=None)
    assert not list(notes.duration(run))
