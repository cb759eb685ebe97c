"""Limits of control groups, of both versions, in this process's group or above it."""

import pytest

from harness.measure.machine import cgroup

MIB = 2**20


@pytest.fixture
def group(monkeypatch, tmp_path):
    """Write a tree of groups, and of which of them this process is a member."""
    own = tmp_path / "own"
    monkeypatch.setattr(cgroup, "_OWN", own)
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path / "tree")

    def write(membership, files):
        own.write_text(membership)
        for name, text in files.items():
            path = tmp_path / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def test_without_groups_nothing_is_limited(group):
    """And nothing is told."""
    group("", {})
    assert cgroup.memory_limit() is None
    assert cgroup.memory_used() is None
    assert cgroup.cpu_quota() is None
    assert cgroup.throttled_seconds() is None


def test_the_second_version_is_read_in_its_own_group(group):
    """As systemd and containers make them."""
    group(
        "0::/work\n",
        {
            "work/memory.max": f"{512 * MIB}\n",
            "work/memory.current": f"{100 * MIB}\n",
            "work/cpu.max": "150000 100000\n",
            "work/cpu.stat": "usage_usec 5\nthrottled_usec 2500000\n",
        },
    )
    assert cgroup.memory_limit() == 512 * MIB
    assert cgroup.memory_used() == 100 * MIB
    assert cgroup.cpu_quota() == 1.5
    assert cgroup.throttled_seconds() == 2.5


def test_the_strictest_of_the_groups_above_counts(group):
    """With what is used in that one."""
    group(
        "0::/a/b\n",
        {
            "a/b/memory.max": "max\n",
            "a/b/memory.current": f"{1 * MIB}\n",
            "a/memory.max": f"{256 * MIB}\n",
            "a/memory.current": f"{200 * MIB}\n",
            "memory.max": f"{1024 * MIB}\n",
            "a/b/cpu.max": "max 100000\n",
            "a/cpu.max": "50000 100000\n",
        },
    )
    assert cgroup.memory_limit() == 256 * MIB
    assert cgroup.memory_used() == 200 * MIB
    assert cgroup.cpu_quota() == 0.5


def test_the_first_version_is_read_by_controller(group):
    """Where 'no limit' is a very large number."""
    group(
        "4:memory:/x\n1:cpu,cpuacct:/\n0::/\n",
        {
            "memory/x/memory.limit_in_bytes": f"{900 * MIB}\n",
            "memory/x/memory.usage_in_bytes": f"{90 * MIB}\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "cpu/cpu.cfs_quota_us": "200000\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "cpu/cpu.stat": "nr_periods 3\nthrottled_time 1500000000\n",
        },
    )
    assert cgroup.memory_limit() == 900 * MIB
    assert cgroup.memory_used() == 90 * MIB
    assert cgroup.cpu_quota() == 2.0
    assert cgroup.throttled_seconds() == 1.5


def test_a_group_of_the_host_that_is_not_seen_here_is_the_root(group):
    """In a container."""
    group("0::/docker/abc\n", {"memory.max": f"{64 * MIB}\n", "cpu.max": "max 100000\n"})
    assert cgroup.memory_limit() == 64 * MIB
    assert cgroup.cpu_quota() is None


@pytest.mark.parametrize("text", ["", "garbage", "-1", "max max", "1"])
def test_what_cannot_be_read_is_no_limit(group, text):
    """Whatever stands there."""
    group("not a line of it\n0::/\n", {"cpu.max": text, "memory.max": "garbage"})
    assert cgroup.cpu_quota() is None
    assert cgroup.memory_limit() is None
