"""What decides the time: each verdict from exact shares, their order, and what is missing."""

import dataclasses

import pytest
from fakes import FakeLauncher, busy_gpu, gpu_usage, runner_of, with_gpu_usage
from samples import dataframe, text_table

from harness.analyze.explain import bottleneck
from harness.records import Case, Fit, GpuReading, folders, from_json, to_json
from harness.report import files

SIZES = (64, 256, 1024)
BYTES_AT_64 = 2 * (64 * 2000 + 4000 + 8000)


def case(batch_size=64, **more):
    return Case("baseline", "mnist", batch_size, **more)


def measured(folder, *, overhead=0.0, sample=1e-3, macs=5000, copy=2e10, sizes=SIZES, **changes):
    """A run of a variant whose step takes an overhead and so much a sample, in seconds."""
    launcher = FakeLauncher(lambda c: sample + overhead / c.batch_size, macs={"baseline": macs})
    launcher.copy_bytes_per_second = copy
    runner = runner_of(folder, launcher, **changes)
    for size in sizes:
        runner.measure(case(size), case(sizes[0]))
    return runner.save()


def row(run, batch_size=64):
    frame = dataframe(run, "bottleneck")
    return frame[frame["batch_size"] == batch_size].iloc[0]


def with_starts(run, change):
    outcomes = [
        dataclasses.replace(m, starts=tuple(change(s) for s in m.starts)) for m in run.outcomes
    ]
    return dataclasses.replace(run, outcomes=tuple(outcomes))


def with_rounds(run, **fields):
    outcomes = [
        dataclasses.replace(m, rounds=tuple(dataclasses.replace(r, **fields) for r in m.rounds))
        for m in run.outcomes
    ]
    return dataclasses.replace(run, outcomes=tuple(outcomes))


def slow_input(run, factor):
    """As if a whole epoch of `fit` took so many times its steps."""

    def change(start):
        fit = Fit(1, 60_000, factor * 60_000e-3, 1.0, whole_epoch=True)
        return dataclasses.replace(start, fit=start.fit and fit)

    return with_starts(run, change)


def test_a_step_that_is_half_overhead_is_overhead_bound(tmp_path):
    """64 ms of overhead on 64 ms of samples: 50 % at batch 64, a fifth at 256."""
    run = measured(tmp_path, overhead=0.0641)
    assert row(run)["verdict"] == "overhead-bound"
    assert row(run)["overhead_share"] == pytest.approx(0.5, abs=1e-3)
    assert row(run, 256)["verdict"] == "not shown"
    assert row(run, 256)["overhead_share"] == pytest.approx(0.2, abs=1e-3)


def test_an_epoch_a_fifth_longer_than_its_steps_is_input_bound(tmp_path):
    """The same workers ran both."""
    run = measured(tmp_path, sizes=(64,))
    assert row(slow_input(run, 1.21))["verdict"] == "input-bound"
    assert row(slow_input(run, 1.21))["input_share"] == pytest.approx(0.21)
    assert row(slow_input(run, 1.19))["verdict"] == "not shown"


def test_what_a_step_moves_is_a_low_count(tmp_path):
    """Outputs of layers, parameters and optimizer, each written and read once."""
    facts = measured(tmp_path).outcomes[0].facts
    assert bottleneck.step_bytes(facts, 64) == BYTES_AT_64
    unknown = dataclasses.replace(facts, activation_bytes_per_sample=None)
    assert bottleneck.step_bytes(unknown, 64) is None


def test_a_step_that_moves_its_bytes_half_of_its_time_is_memory_bound(tmp_path):
    """At the rate of a copy."""
    run = measured(tmp_path, copy=BYTES_AT_64 / (64 * 1e-3) / 0.6, sizes=(64,))
    assert row(run)["verdict"] == "memory-bound"
    assert row(run)["memory_share"] == pytest.approx(0.6)


def test_a_step_at_half_the_rate_of_a_product_is_compute_bound(tmp_path):
    """Six operations a multiply-accumulate, beside 100 GFLOP/s."""
    run = measured(tmp_path, macs=0.7 * 1e11 * 1e-3 / 6, sizes=(64,))
    assert row(run)["verdict"] == "compute-bound"
    assert row(run)["compute_share"] == pytest.approx(0.7)
    assert "at most 70 % [70, 70]" in row(run)["evidence"]


def test_where_several_hold_the_first_of_the_order_is_the_verdict(tmp_path):
    """And the others are named."""
    bound = slow_input(measured(tmp_path, macs=0.7 * 1e11 * 1e-3 / 6, sizes=(64,)), 2.0)
    found = row(with_rounds(bound, other_cpu_seconds=1.0))
    assert (found["verdict"], found["also"]) == ("input-bound", "compute-bound, disturbed")
    found = row(with_rounds(bound, throttled_seconds=0.05))
    assert (found["verdict"], found["also"]) == ("throttled", "input-bound, compute-bound")
    assert "quota" in found["evidence"]


def test_a_disturbance_is_a_verdict_where_nothing_else_is_shown(tmp_path):
    """With its figure and what to do."""
    found = row(with_rounds(measured(tmp_path, sizes=(64,)), other_cpu_seconds=1.0))
    assert found["verdict"] == "disturbed"
    assert "other processes kept CPUs busy" in found["evidence"]
    assert found["advice"] == "stop other programs and measure again"


def test_a_gpu_whose_clocks_are_lowered_is_throttled(tmp_path):
    """With the driver's reason; others on it disturb."""
    run = measured(tmp_path, sizes=(64,))
    outcome = run.outcomes[0]
    gpu = case(device="gpu")
    outcome = dataclasses.replace(outcome, case=gpu, reference=gpu)
    capped = gpu_usage(
        lambda second: GpuReading(throttle_reasons=0x4 if second < 1 else 0), foreign=2
    )

    def found(usage):
        return row(dataclasses.replace(run, outcomes=(with_gpu_usage(outcome, usage),)))

    assert (found(capped)["verdict"], found(capped)["also"]) == ("throttled", "disturbed")
    assert "power cap in 20 % of readings" in found(capped)["evidence"]
    assert found(gpu_usage(busy_gpu))["verdict"] == "not shown"


@pytest.mark.parametrize("changes", [{"blocks": 2, "sizes": (64,)}, {"effort": "quick"}])
def test_two_blocks_and_quick_effort_show_nothing(tmp_path, changes):
    """And say what would; the shares are there."""
    run = measured(tmp_path, macs=0.7 * 1e11 * 1e-3 / 6, **changes)
    assert row(run)["verdict"] == "not shown"
    assert row(run)["compute_share"] == pytest.approx(0.7)
    assert "a higher effort" in row(run)["advice"]


def test_what_is_missing_has_its_reason(tmp_path):
    """No rate, no count, too few sizes; the table says them below."""
    run = measured(tmp_path, copy=None, sizes=(64, 256))
    facts = dataclasses.replace(run.outcomes[0].facts, macs_per_sample=None)
    outcomes = [dataclasses.replace(m, facts=facts, reference_facts=facts) for m in run.outcomes]
    run = dataclasses.replace(run, outcomes=tuple(outcomes))
    missing = row(run)["missing"]
    assert "memory: the run has no rate of copies" in missing
    assert "compute: not counted" in missing
    assert "overhead: not fitted: 3 batch sizes are needed" in missing
    assert row(run)[["memory_share", "compute_share", "overhead_share"]].isna().all()
    built = text_table(run, "bottleneck")
    assert "missing: memory: the run has no rate of copies" in built.notes
    assert "not shown: what would show it: the shares that are missing" in built.notes


def test_a_run_from_before_the_rate_of_copies_is_read(tmp_path):
    """Its starts have no such field."""
    data = to_json(measured(tmp_path))
    for outcome in data["outcomes"]:
        for start in outcome["starts"]:
            del start["copy_bytes_per_second"], start["copy_bytes"]
    old = from_json(type(folders.read(tmp_path)), data)
    assert old.outcomes[0].starts[0].copy_bytes_per_second is None
    assert row(old)["missing"] == "memory: the run has no rate of copies"


def test_table_and_chart_are_written(tmp_path):
    """One row a measured case."""
    run = measured(tmp_path, overhead=0.07)
    written = files.write(run, tmp_path)
    built = written.tables["bottleneck"]
    assert [r[built.columns.index("batch")] for r in built.rows] == ["64", "256", "1024"]
    assert "overhead-bound: a larger batch" in "\n".join(built.notes)
    names = {path.name for path in written.paths}
    assert {"bottleneck.csv", "bottleneck.md", "bottleneck.png", "bottleneck.svg"} <= names
