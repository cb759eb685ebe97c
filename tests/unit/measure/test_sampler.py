"""Watching a GPU beside a worker."""

import os

import pytest
from fakes import FakeClock, FakeGpu

from harness.measure.machine.sampler import GpuWatch, Sampler
from harness.records import GpuReading

WORKER = 42


def watched(before, during, pid=WORKER):
    """Foreign processes counted with these ids on the GPU before and after the rounds."""
    gpu = FakeGpu(processes=before)
    watch = GpuWatch(pid, gpu, FakeClock())
    watch.read_idle()
    watch.begin_rounds()
    gpu._processes = during
    watch.read()
    watch.list_processes()
    return watch.usage().foreign_processes


@pytest.mark.parametrize(
    ("before", "during", "foreign"),
    [
        ({}, {WORKER}, 0),
        ({7}, {7, WORKER}, 1),
        ({}, {7, WORKER}, 1),
        # In a container NVML has other ids than this process sees.
        ({}, {90001}, 0),
        ({90000}, {90000, 90001}, 1),
        ({90000}, {90000}, 1),
        ({}, {90001, 90002}, 1),
        ({}, {}, 0),
    ],
)
def test_a_foreign_process_is_told_from_the_worker(before, during, foreign):
    """By its id, or because it was there before the worker."""
    assert watched(frozenset(before), frozenset(during)) == foreign


def test_processes_that_nvml_does_not_list_are_unknown():
    """And not 0."""
    assert watched(None, None) is None


def test_readings_are_kept_from_the_beginning_of_the_rounds():
    """With their seconds since then; memory before the worker is the idle value."""
    clock = FakeClock()
    gpu = FakeGpu(reading=lambda number: GpuReading(memory_bytes=100 * number, power_watts=50.0))
    watch = GpuWatch(WORKER, gpu, clock)
    watch.read_idle()
    watch.read()
    clock.sleep(3.0)
    watch.begin_rounds()
    for _ in range(2):
        clock.sleep(0.5)
        watch.read()
    usage = watch.usage()
    assert usage.idle_memory_bytes == 0
    assert usage.trace.seconds == (0.5, 1.0)
    assert usage.trace.memory_bytes == (200, 300)
    assert usage.trace.power_watts == (50.0, 50.0)
    assert usage.trace.utilization_percent == (None, None)


def test_why_a_reading_is_missing_goes_with_the_readings():
    """To be shown below the table."""
    gpu = FakeGpu()
    gpu.refused = {"energy_joules": "Not Supported"}
    assert GpuWatch(WORKER, gpu, FakeClock()).usage().refused == {"energy_joules": "Not Supported"}


def test_a_worker_on_the_cpu_has_no_gpu_readings():
    """There may be a GPU in the machine all the same."""
    sampler = Sampler(os.getpid(), None)
    sampler.start()
    sampler.stop()
    assert sampler.usage().gpu is None


def test_processes_are_listed_before_and_after_rounds_only():
    """The driver takes milliseconds for a list and holds a lock, so that launches wait."""
    listed = []

    class Counting(FakeGpu):
        def processes(self):
            listed.append(len(listed))
            return frozenset({WORKER})

    watch = GpuWatch(WORKER, Counting(), FakeClock())
    watch.read_idle()
    watch.begin_rounds()
    before = len(listed)
    for _ in range(50):
        watch.read()
    assert len(listed) == before
    watch.list_processes()
    assert len(listed) == before + 1
    assert watch.usage().foreign_processes == 0


def test_a_sampler_lists_the_processes_at_its_end():
    """Once, however often it is stopped."""
    gpu = FakeGpu(processes=frozenset({os.getpid(), 7}))
    sampler = Sampler(os.getpid(), gpu)
    sampler.start()
    sampler.stop()
    sampler.stop()
    assert sampler.usage().gpu.foreign_processes == 1
