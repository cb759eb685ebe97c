"""The work beside the time: predicted speedups, shares of the peak, the line of a width sweep."""

import pytest
from fakes import FakeLauncher, runner_of
from samples import dataframe

from harness.records import Case
from harness.report import files

MACS = {"half_width": 1e6, "baseline": 4e6, "double_width": 16e6, "improved": 2e6}


def sample_seconds(case):
    """100 µs and 50 µs a million multiply-accumulates; `improved` takes 1.5 times that."""
    line = 100e-6 + 50e-6 * MACS[case.variant] / 1e6
    return line * (1.5 if case.variant == "improved" else 1.0)


def measured(folder, variants=("half_width", "double_width", "improved")):
    launcher = FakeLauncher(sample_seconds, macs=MACS)
    launcher.layouts = {"improved": "other"}
    runner = runner_of(folder, launcher)
    for variant in variants:
        runner.measure(Case(variant, "mnist", 256), Case("baseline", "mnist", 256))
    return runner.save()


def rows(run):
    return {row["variant"]: row for row in dataframe(run, "work").to_dict("records")}


def test_the_work_predicts_a_speedup(tmp_path):
    """Half the multiply-accumulates would be twice as fast."""
    row = rows(measured(tmp_path))["improved"]
    assert row["predicted"] == pytest.approx(2.0)
    assert row["speedup"] == pytest.approx(300 / 300)
    assert row["measured_over_predicted"] == pytest.approx(0.5)


def test_the_line_is_of_those_that_differ_in_width_alone(tmp_path):
    """The other variant lies 50 % above it."""
    found = rows(measured(tmp_path))
    assert [name for name, row in found.items() if row["in_sweep"]] == [
        "half_width",
        "baseline",
        "double_width",
    ]
    assert found["half_width"]["residual"] == pytest.approx(0, abs=1e-9)
    assert found["improved"]["residual"] == pytest.approx(0.5)
    line = found["improved"]
    assert (line["line_fixed_us"], line["line_us_per_mmac"]) == pytest.approx((100, 50))


def test_two_widths_have_no_line(tmp_path):
    """Any two lie on one."""
    run = measured(tmp_path, ["half_width", "improved"])
    assert dataframe(run, "work")["fitted_us"].isna().all()
    paths = files.write(run, tmp_path).paths
    assert "work.csv" in {path.name for path in paths}
    assert "work.png" not in {path.name for path in paths}


def test_achieved_operations_are_six_a_multiply_accumulate(tmp_path):
    """Forward, and backward to weights and inputs; beside 100 GFLOP/s of a matrix product."""
    row = rows(measured(tmp_path))["baseline"]
    assert row["gflops"] == pytest.approx(6 * 4e6 / 300e-6 / 1e9)
    assert row["peak_gflops"] == pytest.approx(100)
    assert row["peak_share"] == pytest.approx(row["gflops"] / 100)


def test_a_chart_of_the_sweep_is_drawn(tmp_path):
    """With its residuals."""
    paths = files.write(measured(tmp_path), tmp_path).paths
    assert "work.png" in {path.name for path in paths}
