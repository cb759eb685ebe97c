"""What is seen around a block, with the machine's own clocks and processes."""

import os
import subprocess
import sys

from harness.measure.machine import facts, host_state
from harness.measure.machine.host_state import HostState, between

BEFORE = HostState(cpus="0,1", other_runs=0, slept_seconds=10.0, wall_offset_seconds=1000.0)


def test_nothing_has_changed_from_one_moment_to_the_next():
    """No sleep, no step of the clock, the same CPUs."""
    found = between(3, host_state.read_host_state(), host_state.read_host_state())
    assert found.block == 3
    assert found.cpus_before == found.cpus_after
    assert abs(found.suspended_seconds) < 0.1
    assert abs(found.clock_step_seconds) < 0.1


def test_a_suspend_is_time_since_boot_that_the_monotonic_clock_leaves_out():
    """And no step of the wall clock."""
    found = between(0, BEFORE, HostState("0,1", 0, 310.0, 1000.0))
    assert (found.suspended_seconds, found.clock_step_seconds) == (300.0, 0.0)


def test_a_step_of_the_wall_clock_is_no_suspend():
    """An hour back."""
    found = between(0, BEFORE, HostState("0,1", 0, 10.0, -2600.0))
    assert (found.suspended_seconds, found.clock_step_seconds) == (0.0, -3600.0)


def test_what_no_clock_tells_is_missing():
    """Elsewhere than on Linux."""
    found = between(0, BEFORE, HostState("0,1", 0, None, None))
    assert (found.suspended_seconds, found.clock_step_seconds) == (None, None)


def test_a_change_of_affinity_is_seen():
    """As taskset would make it; in a process of its own."""
    code = """
import os
from harness.measure.machine import host_state
before = host_state.read_host_state()
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
found = host_state.between(0, before, host_state.read_host_state())
print(found.cpus_before != found.cpus_after or len(before.cpus.split(",")) == 1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_quota_is_part_of_what_may_be_used(monkeypatch):
    """So that a change of it is seen."""
    monkeypatch.setattr(host_state, "cpu_quota", lambda: 1.5)
    assert host_state.read_host_state().cpus.endswith(", quota 1.5")


def test_other_runs_are_counted_by_the_process_that_measures():
    """A server and its workers are one run; one's own is none."""
    before = facts.other_runs()
    arguments = [sys.executable, "-c", "import time; time.sleep(60)", "harness.worker.forkserver"]
    stand_ins = [
        subprocess.Popen([*arguments, parent])
        for parent in ("999999991", "999999991", "999999992", str(os.getpid()))
    ]
    try:
        assert before + 2 == facts.other_runs()
        assert before + 1 == facts.other_runs({999999991}), "another host of this job"
    finally:
        for process in stand_ins:
            process.kill()
            process.wait()
