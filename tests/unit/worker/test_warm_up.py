"""Warm-up over a fake clock."""

from harness.worker import warm_up


class FakeClock:
    """Advances by what the fake step says."""

    def __init__(self, times):
        self._times = iter(times)
        self.now = 0.0

    def __call__(self):
        return self.now

    def run(self, steps):
        for _ in range(steps):
            self.now += next(self._times)


def test_warm_up_ends_once_two_steps_agree():
    """Two equal steps are steady."""
    clock = FakeClock([0.1] * 20)
    warm = warm_up.warm_up(clock.run, clock, cap_seconds=10)
    assert (warm.steps, warm.steady) == (2, True)


def test_warm_up_is_capped_in_time_but_has_a_floor():
    """One step is always run."""
    clock = FakeClock([5.0] * 20)
    warm = warm_up.warm_up(clock.run, clock, cap_seconds=1)
    assert (warm.steps, warm.steady, warm.step_seconds) == (1, False, 5.0)


def test_hosts_warm_up_by_the_same_number_of_steps():
    """Steady or not; the last three count."""
    clock = FakeClock([9.0, 1.0, 0.2, 0.1, 0.1])
    warm = warm_up.warm_up_together(clock.run, clock)
    assert (warm.steps, warm.steady) == (5, True)
    assert round(warm.step_seconds, 6) == 0.1
