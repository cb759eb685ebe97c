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


def test_steps_that_are_known_to_be_slow_are_left_out():
    """Six equal slow steps would look steady."""
    clock = FakeClock([0.4] * 6 + [0.1] * 20)
    warm = warm_up.warm_up(clock.run, clock, cap_seconds=1, floor_steps=6)
    assert (warm.steps, warm.steady) == (8, True)
    assert round(warm.step_seconds, 6) == 0.1


def test_slow_steps_are_those_before_the_time_falls():
    """The first one, which is traced, is no matter by itself, nor is a hiccup later on."""
    assert warm_up.slow_steps([0.4] * 6 + [0.001] * 10) == 6
    assert warm_up.slow_steps([0.4] + [0.001] * 15) == 0
    assert warm_up.slow_steps([0.4, 0.001, 0.001, 0.4] + [0.001] * 12) == 0
    assert warm_up.slow_steps([0.4, 0.004] + [0.001] * 14) == 0
    assert warm_up.slow_steps([0.4] * 16) == 0
