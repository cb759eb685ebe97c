"""The validation with real workers: what is known is found."""

import pytest

from harness.commands.validate import against_keras, readings
from harness.measure.machine.facts import usable_cpus
from harness.records import Case

pytestmark = pytest.mark.slow


def test_a_known_allocation_is_read(launcher):
    """Peak RSS, within 2 %."""
    assert readings.memory(launcher, 1).verdict == "holds"


def test_a_known_load_is_read(launcher):
    """CPU time, within 5 % of what the busy threads say they used, whatever else is busy."""
    found = list(readings.cpu(launcher, 1))
    assert [check.verdict for check in found] == ["holds"] * len(found)
    assert len(found) == sum(threads <= len(usable_cpus()) for threads in (1, 2, 4))


def test_a_round_is_watched_and_not(launcher):
    """Both give times; what they show is the machine's."""
    case = Case("improved", "synthetic", 16, threads=len(usable_cpus()))
    check = readings.watching(launcher, case, steps=2, blocks=1)
    assert (check.n, check.verdict) == (1, "not shown")


def test_plain_keras_answers_beside_a_worker(launcher):
    """Steps, parts of an epoch and, if wanted, whole ones."""
    case = Case("improved", "synthetic", 256, threads=len(usable_cpus()))
    (block,) = against_keras.blocks(launcher, case, 1, samples=1024)
    assert list(block) == ["step time", "`fit` over a part", "projected epoch over a whole one"]
    assert all(abs(log) < 2 for log in block.values())
