"""What readings of a GPU say, and that too few of them say nothing."""

import dataclasses

import pytest
from fakes import busy_gpu, gpu_usage

from harness.analyze.devices import gpu
from harness.records import Gpu, GpuReading

USAGE = gpu_usage(busy_gpu)


def without(name):
    return lambda second: dataclasses.replace(busy_gpu(second), **{name: None})


def test_utilization_leaves_out_what_the_counter_may_know_of_before():
    """Its first half second was at 20 %, its first second is not counted."""
    known = gpu.utilization_percent([USAGE, USAGE])
    assert known.value == pytest.approx(90.98, abs=0.05)
    assert known.readings == 2 * 41
    assert known.source == "NVML"


@pytest.mark.parametrize(("seconds", "readings"), [(0.5, 0), (2.5, 16)])
def test_a_short_window_is_insufficient_and_not_a_number(seconds, readings):
    """Never a made-up 0."""
    short = gpu_usage(busy_gpu, seconds=seconds)
    for known in (gpu.utilization_percent([short]), gpu.power_watts([short])):
        assert known.value is None
        assert known.source.startswith(f"insufficient: {readings} readings over ")


def test_a_worker_whose_window_is_too_short_is_left_out_of_the_mean():
    """The others are not spoilt by it."""
    known = gpu.utilization_percent([USAGE, gpu_usage(lambda _: GpuReading(0.0), seconds=0.5)])
    assert known.value == pytest.approx(90.98, abs=0.05)


def test_power_comes_from_the_energy_counter():
    """Between two of its updates: 205 W, whatever the power readings are."""
    known = gpu.power_watts([USAGE])
    assert known.value == pytest.approx(205.0)
    assert known.source == "energy counter"


def test_without_the_counter_power_is_integrated_and_said_to_be():
    """200 W and 210 W in turns, as trapezoids."""
    known = gpu.power_watts([gpu_usage(without("energy_joules"))])
    assert known.value == pytest.approx(209.5, abs=1.0)
    assert known.source == "power integral"


def test_a_counter_that_hardly_moves_is_not_trusted():
    """One update in four seconds says nothing of the time between."""
    lazy = gpu_usage(
        lambda second: dataclasses.replace(busy_gpu(second), energy_joules=float(second > 3))
    )
    assert gpu.power_watts([lazy]).source == "power integral"


def test_nothing_of_power_is_a_reason():
    """In NVML's own words."""
    usage = gpu_usage(
        lambda _: GpuReading(utilization_percent=50.0), refused={"power_watts": "Not Supported"}
    )
    known = gpu.power_watts([usage])
    assert (known.value, known.source) == (None, "NVML refuses it: Not Supported")


def test_memory_is_the_most_in_use_less_what_was_in_use_before():
    """2.5 GiB at most, 1 GiB when idle."""
    known = gpu.memory_bytes([USAGE])
    assert known.value == pytest.approx(1.5 * 2**30)
    assert known.source == "NVML, less the idle value"


@pytest.mark.parametrize(
    "usage",
    [gpu_usage(busy_gpu, idle_memory=None), gpu_usage(without("memory_bytes"))],
)
def test_memory_without_one_of_both_is_missing(usage):
    """A difference needs two."""
    assert gpu.memory_bytes([usage]).value is None


def test_throttle_reasons_are_named_with_their_share():
    """Idle, 0x1, is not one."""
    usage = gpu_usage(
        lambda second: GpuReading(throttle_reasons=0x1 | (0x4 if second < 2.5 else 0x44))
    )
    shares = gpu.throttled([usage])
    assert set(shares) == {"power cap", "hardware thermal slowdown"}
    assert shares["power cap"] == 1.0
    assert shares["hardware thermal slowdown"] == pytest.approx(0.5, abs=0.02)


def test_without_readings_nothing_is_throttled_and_nothing_known():
    """Missing is missing."""
    assert gpu.throttled([]) == {}
    assert gpu.foreign_processes([]) is None
    assert gpu.largest([USAGE], "temperature_celsius") == 55.0
    assert gpu.median([], "sm_clock_mhz") is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("NVIDIA H100 80GB HBM3", "a quarter of the time"),
        ("NVIDIA A100-SXM4-40GB", "a quarter of the time"),
        ("NVIDIA GH200 480GB", "the CPU of the same module"),
        ("NVIDIA L4", ""),
    ],
)
def test_what_is_known_of_a_sensor_of_power_is_told(name, told):
    """Where studies found it."""
    facts = Gpu(name, None, None, None, None, None, "PCI order")
    assert told in gpu.about_power(facts)
    assert bool(gpu.about_power(facts)) == bool(told)
    assert gpu.about_power(None) == ""
