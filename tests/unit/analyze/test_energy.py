"""Energy of the CPUs: per sample, in pairs, and of a whole training."""

import dataclasses

import pytest
from fakes import FakeLauncher, runner_of

from harness.analyze import energy
from harness.analyze.advice import cost
from harness.analyze.analysis import Analysis
from harness.records import Case, CpuEnergy
from harness.report.html.page import environment
from harness.tables import frame

BASE, LARGE = Case("baseline", "mnist", 256), Case("baseline", "mnist", 1024)


@pytest.fixture
def run(tmp_path):
    """The larger batch is twice as fast per sample, at 30 W where the reference takes 10 W."""
    launcher = FakeLauncher(lambda case: 1e-3 if case == BASE else 5e-4)
    launcher.watts = lambda case: 10.0 if case == BASE else 30.0
    runner = runner_of(tmp_path, launcher, meter=launcher.meter)
    runner.measure(LARGE, BASE)
    return runner.save()


def without_readings(run, of):
    """The run, but some of its rounds have no reading."""
    (m,) = run.outcomes
    rounds = [dataclasses.replace(r, package_joules=None) if of(r) else r for r in m.rounds]
    return dataclasses.replace(m, rounds=tuple(rounds))


def test_joules_are_paired_as_seconds_are(run):
    """Twice as fast, and half as much again per sample."""
    (m,) = run.outcomes
    found = energy.speedup(m)
    assert found.value == pytest.approx(1 / 1.5, rel=1e-3)
    assert found.low <= found.value <= found.high
    table = frame(Analysis(run), "batch_size_speedup")
    row = table[table["batch_size"] == 1024].iloc[0]
    assert row["energy_speedup"] == pytest.approx(1 / 1.5, rel=1e-3)
    assert row["speedup"] == pytest.approx(2)


def test_energy_per_sample_has_an_interval(run):
    """Over blocks, in the table of measurements."""
    rows = frame(Analysis(run), "measurements").set_index("batch_size")
    assert rows.loc[256, "cpu_joules_per_sample"] == pytest.approx(10e-3, rel=1e-3)
    assert rows.loc[1024, "cpu_joules_per_sample"] == pytest.approx(15e-3, rel=1e-3)
    low, high = (rows.loc[1024, f"cpu_joules_per_sample_{end}"] for end in ("low", "high"))
    assert low <= 15e-3 * 1.001
    assert high >= 15e-3 * 0.999


def test_a_round_without_a_reading_is_left_out(run):
    """But a worker without any leaves no pair."""
    one = without_readings(run, lambda r: r.pair == 0)
    assert energy.speedup(one).value == pytest.approx(1 / 1.5, rel=1e-3)
    assert energy.speedup(without_readings(run, lambda r: r.block == 0)) is None
    assert energy.speedup(without_readings(run, lambda r: True)) is None


def test_without_a_meter_there_is_no_column(tmp_path):
    """And the cells of the file are empty."""
    runner = runner_of(tmp_path, FakeLauncher())
    runner.measure(LARGE, BASE)
    table = frame(Analysis(runner.save()), "batch_size_speedup")
    assert table["energy_speedup"].isna().all()


def test_idle_power_stands_in_the_environment_of_the_report(run):
    """Or why there is none."""
    told = CpuEnergy("powercap", "", ("package-0", "dram-0"), 12.34, None)
    with_meter = dataclasses.replace(run.machine, cpu_energy=told)
    found = environment(dataclasses.replace(run, machine=with_meter))
    assert found["cpu_energy"] == "powercap: package-0, dram-0"
    assert found["idle_package_watts"] == "12.3"
    assert "idle_dram_watts" not in found
    without = dataclasses.replace(run.machine, cpu_energy=CpuEnergy(None, "no counter"))
    assert environment(dataclasses.replace(run, machine=without))["cpu_energy"] == "no counter"


def test_a_training_costs_energy_money_and_carbon_dioxide(run):
    """Joules per sample times samples; a kilowatt-hour is 3.6 MJ."""
    rates = cost.Rates(price_per_kwh=0.3, grams_per_kwh=400.0)
    made = cost.plan(Analysis(run), LARGE, samples=60_000, epoch_count=10, rates=rates)
    joules = 15e-3 * 600_000
    assert made.cpu_energy_joules.value == pytest.approx(joules, rel=1e-3)
    assert made.energy_cost.value == pytest.approx(0.3 * joules / 3.6e6, rel=1e-3)
    assert made.grams.value == pytest.approx(400 * joules / 3.6e6, rel=1e-3)
    assert made.cost is None
