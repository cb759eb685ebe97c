"""Counters of energy in a folder like the kernel's, which a thread advances."""

import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.machine import power_pmu
from harness.measure.machine.energy import NONE_HERE, Counter, Meter, describe, open_meter
from harness.records import CpuEnergy

RANGE = 262_143_328_850  # microjoules: as Haswell has it


class Tree:
    """A folder like `/sys` with zones of powercap."""

    def __init__(self, root):
        self.root = root

    def zone(self, number, name, count=0, wraps_at=RANGE, control="intel-rapl"):
        folder = self.root / "class" / "powercap" / f"{control}:{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{wraps_at}\n")
        self.set(number, count, control)

    def set(self, number, count, control="intel-rapl"):
        """In place, as the kernel does: the file stays the same."""
        path = self.root / "class" / "powercap" / f"{control}:{number}" / "energy_uj"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        text = f"{count}\n".encode()
        os.pwrite(descriptor, text.rjust(20, b"0") if len(text) < 20 else text, 0)
        os.close(descriptor)

    def file(self, number):
        return self.root / "class" / "powercap" / f"intel-rapl:{number}" / "energy_uj"

    def package_of(self, cpu, package):
        folder = self.root / "devices" / "system" / "cpu" / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def domains(meter):
    return [counter.name for counter in meter.counters]


def spent(meter, change):
    """What a meter counts while something changes the tree."""
    before = meter.read()
    change()
    return meter.between(before, meter.read())


def test_packages_and_memory_are_apart_and_nothing_counts_twice(tree):
    """Not the parts of a package, not the board, not the second copy of the counters."""
    for number, name in {
        "0": "package-0",
        "0:0": "core",
        "0:1": "dram",
        "1": "psys",
        "2": "package-1",
    }.items():
        tree.zone(number, name)
    tree.zone("0", "package-0", control="intel-rapl-mmio")
    meter = open_meter({0}, tree.root)
    assert (meter.name, domains(meter)) == ("powercap", ["package-0", "dram-0", "package-1"])

    def change():
        for number, joules in {"0": 3, "0:0": 2, "0:1": 1, "1": 50, "2": 4}.items():
            tree.set(number, joules * 1_000_000)

    assert spent(meter, change) == {"package_joules": 7.0, "dram_joules": 1.0}


def test_ten_packages_are_in_the_order_of_their_numbers(tree):
    """Not in that of their names."""
    for number in range(12):
        tree.zone(str(number), f"package-{number}")
    assert domains(open_meter({0}, tree.root))[9:] == ["package-9", "package-10", "package-11"]


def test_the_dies_of_a_package_add_up(tree):
    """Each has a zone of its own."""
    tree.zone("0", "package-0-die-0")
    tree.zone("1", "package-0-die-1")
    tree.package_of(0, 0)
    meter = open_meter({0}, tree.root)
    found = spent(meter, lambda: [tree.set("0", 5_000_000), tree.set("1", 6_000_000)])
    assert found["package_joules"] == pytest.approx(11)


def test_only_the_packages_that_workers_use_count(tree):
    """By the CPUs that this process may use."""
    for package in (0, 1):
        tree.zone(str(package), f"package-{package}")
        tree.zone(f"{package}:0", "dram")
        tree.package_of(package, package)
    assert domains(open_meter({1}, tree.root)) == ["package-1", "dram-1"]
    both = ["package-0", "dram-0", "package-1", "dram-1"]
    assert domains(open_meter({0, 1}, tree.root)) == both


@given(st.integers(0, RANGE - 1), st.integers(1, RANGE - 1))
def test_a_wrap_is_no_loss(begin, more):
    """Wherever it lies."""
    counts = iter([begin, (begin + more) % RANGE])
    meter = Meter(
        "powercap", (Counter("package-0", "package", 1e-6, RANGE, lambda: b"%d\n" % next(counts)),)
    )
    joules = meter.between(meter.read(), meter.read())["package_joules"]
    assert joules == pytest.approx(more / 1e6)


def test_a_failed_reading_is_missing_and_never_a_wrap(tree):
    """The other domain is still known; the next round is known again."""
    tree.zone("0", "package-0")
    tree.zone("0:0", "dram")
    meter = open_meter({0}, tree.root)
    before = meter.read()
    tree.file("0").write_text("")  # in mid-update
    tree.set("0:0", 2_000_000)
    assert meter.between(before, meter.read()) == {"package_joules": None, "dram_joules": 2.0}
    tree.set("0", 8_000_000)
    assert meter.between(before, meter.read())["package_joules"] == 8.0


def test_a_zone_that_vanishes_is_missing(tree):
    """As when the driver is unloaded during a run; the sum of the packages is, too."""
    tree.zone("0", "package-0", 5)
    tree.zone("1", "package-1", 5)
    meter = open_meter({0}, tree.root)
    before = meter.read()
    tree.file("0").unlink()
    tree.set("1", 9_000_000)
    assert meter.between(before, meter.read())["package_joules"] is None


def test_a_meter_for_root_only_says_the_line_that_mends_it(tree):
    """And no traceback."""
    tree.zone("0", "package-0")
    tree.file("0").unlink()
    tree.file("0").symlink_to(tree.root / "nothing")  # masked, as in a container
    meter = open_meter({0}, tree.root)
    assert meter.name is None
    assert "energy_uj cannot be read (No such file" in meter.reason
    assert "udev" in meter.advice
    assert meter.read() == ()
    assert meter.between((), ()) == {"package_joules": None, "dram_joules": None}


def test_a_range_that_is_no_number_is_a_reason(tree):
    """And no traceback."""
    tree.zone("0", "package-0", wraps_at="?")
    assert "the counters cannot be read" in open_meter({0}, tree.root).reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_is_asked_for(tree):
    """By the name of the file."""
    tree.zone("0", "package-0")
    tree.file("0").chmod(0)
    assert "only root may read" in open_meter({0}, tree.root).reason


def test_a_machine_without_counters_says_so(tree):
    """As virtual machines are."""
    meter = open_meter({0}, tree.root)
    assert (meter.name, meter.reason, meter.advice) == (None, NONE_HERE, "")
    assert describe(meter) == CpuEnergy(None, NONE_HERE)


def test_a_known_power_is_read_while_a_thread_advances_the_counter(tree):
    """Within half a percent over many rounds, two wraps included."""
    wraps_at, tick = 5_000_000, 7_000  # microjoules
    tree.zone("0", "package-0", wraps_at=wraps_at)
    meter = open_meter({0}, tree.root)
    ended, truth = threading.Event(), [0]

    def advance():
        while not ended.is_set() and truth[0] < 11_000_000:
            truth[0] += tick
            tree.set("0", truth[0] % wraps_at)

    thread = threading.Thread(target=advance)
    total, before = 0.0, meter.read()
    thread.start()
    while thread.is_alive():
        after = meter.read()
        total += meter.between(before, after)["package_joules"] or 0.0
        before = after
        time.sleep(0.001)
    ended.set()
    thread.join()
    total += meter.between(before, meter.read())["package_joules"] or 0.0  # stands still
    assert total == pytest.approx(truth[0] / 1e6, rel=0.005)


def test_the_power_of_an_idle_machine_is_joules_over_seconds(tree):
    """By the clock, not by how long it was to sleep."""
    tree.zone("0", "package-0")
    clock = iter([10.0, 12.0])
    meter = open_meter({0}, tree.root)
    told = describe(meter, lambda: next(clock), lambda _: tree.set("0", 30_000_000))
    assert told == CpuEnergy("powercap", "", ("package-0",), 15.0, None)


def test_perf_events_are_found_as_the_kernel_describes_them(tmp_path):
    """With their unit, and a CPU of each package."""
    pmu = tmp_path / "bus" / "event_source" / "devices" / "power"
    (pmu / "events").mkdir(parents=True)
    (pmu / "type").write_text("32\n")
    (pmu / "cpumask").write_text("0,8-9\n")
    (pmu / "events" / "energy-pkg").write_text("event=0x02\n")
    (pmu / "events" / "energy-pkg.scale").write_text("2.3283064365386962890625e-10\n")
    (event,) = power_pmu.events(tmp_path)
    assert event == power_pmu.Event("package", 32, 2, 2.3283064365386962890625e-10, (0, 8, 9))


def test_a_perf_event_of_this_machine_is_read():
    """The clock of a CPU in nanoseconds, since the counter of energy is rarely there."""
    clock = power_pmu.Event("package", 1, 0, 1e-9, (0,))
    try:
        read = power_pmu.open_event(clock, 0)
    except OSError as error:
        pytest.skip(f"perf is refused here: {error}")
    first = power_pmu.decode(read())
    time.sleep(0.05)
    assert 0.03e9 < power_pmu.decode(read()) - first < 60e9
