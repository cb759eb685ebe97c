"""Rates of a machine, with a clock in place of the device."""

import pytest

from harness.worker import work


class Device:
    """Takes so long per element and per wait; a launch takes no time."""

    def __init__(self, per_element, per_wait):
        self.per_element, self.per_wait = per_element, per_wait
        self.now = self.queued = 0.0
        self.waits = 0

    def apply(self, size):
        self.queued += self.per_element * size
        return size

    def wait(self, _):
        self.now += self.queued + self.per_wait
        self.queued = 0.0
        self.waits += 1


@pytest.mark.parametrize("per_element", [1e-9, 1e-7, 1e-5])
def test_a_wait_is_a_small_part_of_what_is_timed(monkeypatch, per_element):
    """So many operations run before one wait that a fast device's rate is not that of waiting."""
    device = Device(per_element, per_wait=4e-4)
    monkeypatch.setattr(work, "_wait_for", device.wait)
    monkeypatch.setattr(work.time, "perf_counter", lambda: device.now)
    best, size = work._best_seconds(lambda size: size, device.apply, (512, 8192), 0.1)
    assert size in (512, 1024, 2048, 4096, 8192)
    assert best == pytest.approx(per_element * size, rel=0.03)
    assert device.waits < 40
