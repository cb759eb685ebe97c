"""Counters of rounds and epochs."""

from dataclasses import fields

import pytest

from harness.measure.machine.energy import Meter
from harness.measure.machine.sampler import disturbance, read_machine
from harness.records import Counters, Epoch, Round, from_json, to_json
from harness.records.counters import COLUMNS, change
from harness.tables.declare import header
from harness.tables.measurements import MEASUREMENTS
from harness.worker.resources import read_counters


@pytest.mark.parametrize("kind", [Round, Epoch])
def test_a_round_and_an_epoch_have_every_counter(kind):
    """So that neither misses one."""
    assert {f.name for f in fields(Counters)} <= {f.name for f in fields(kind)}


def test_every_counter_is_read():
    """By the worker or by the parent."""
    names = {f.name for f in fields(Counters)}
    energy = Meter().between((), ())
    assert names == read_counters().keys() | read_machine().keys() | energy.keys()


def test_a_counter_with_a_heading_is_a_column_of_the_measurements():
    """Each of them, per step, and no other."""
    counted = {f"{name}_per_step" for name in COLUMNS}
    names = {f.name for f in fields(Counters)}
    assert counted == {n for n in header(MEASUREMENTS) if n.removesuffix("_per_step") in names}
    assert names >= COLUMNS.keys()


def test_a_change_is_unknown_where_a_total_is():
    """Not 0."""
    assert change({"a": 1.0, "b": None}, {"a": 3.5, "b": 2.0}) == {"a": 2.5, "b": None}


def test_the_worker_s_own_time_is_not_that_of_others():
    """Never below 0: clocks of the kernel tick."""
    before = {"other_cpu_seconds": 10.0, "steal_seconds": 1.0, "throttled_seconds": None}
    after = {"other_cpu_seconds": 14.0, "steal_seconds": 1.5, "throttled_seconds": 0.0}
    expected = {"other_cpu_seconds": 1.0, "steal_seconds": 0.5, "throttled_seconds": None}
    assert disturbance(before, after, 3.0) == expected
    assert disturbance(before, after, 5.0)["other_cpu_seconds"] == 0.0


def test_an_epoch_of_an_earlier_run_is_read():
    """It has two of the counters."""
    epoch = Epoch(1, 2.0, 0.5, 0.3, steal_seconds=0.1, other_cpu_seconds=0.2)
    data = to_json(epoch)
    for name in ("cpu_seconds", "throttled_seconds", "minor_faults"):
        del data[name]
    assert from_json(Epoch, data) == epoch
