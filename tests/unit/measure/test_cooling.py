"""The workers of a block start at about the same temperature of the GPU."""

import pytest
from fakes import FakeClock, FakeGpu

from harness.measure.machine.cooling import Cooling
from harness.records import GpuReading


def cooling(*temperatures):
    """A GPU that is read at these temperatures, then at the last one, and what waits for it."""
    clock = FakeClock()
    last = len(temperatures) - 1
    gpu = FakeGpu(reading=lambda n: GpuReading(temperature_celsius=temperatures[min(n, last)]))
    return gpu, Cooling(clock, clock.sleep)


@pytest.mark.parametrize(
    ("then", "waited"),
    [([40.0], 0.0), ([43.0], 0.0), ([60.0, 50.0, 42.0], 2.0), ([None], 0.0), ([60.0, None], 1.0)],
)
def test_a_worker_waits_until_the_gpu_is_as_cool_as_before_the_first(then, waited):
    """Whatever reasons for a lowered clock the driver tells: an idle GPU has none."""
    gpu, its = cooling(40.0, *then)
    assert its.wait(gpu, limit_seconds=60.0) == 0.0
    assert its.wait(gpu, limit_seconds=60.0) == waited


def test_a_gpu_without_a_thermometer_is_not_waited_for():
    """Now or later."""
    gpu, its = cooling(None, 90.0, 90.0)
    assert [its.wait(gpu, 60.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_the_wait_has_an_end():
    """The caution then says that the GPU was hot."""
    gpu, its = cooling(40.0, 80.0)
    its.wait(gpu, 5.0)
    assert its.wait(gpu, 5.0) == 5.0
