"""What charts say: the finding in the title, the best one marked, each constant word once."""

from types import SimpleNamespace

import pytest
from fakes import FakeLauncher, runner_of
from samples import case, drawn, measured, text_table

from harness.tables import drawing
from harness.tables.labels import names_of

SIZES = (64, 256, 1024)


def run_of(folder, seconds, comparisons, **changes):
    runner = runner_of(folder, FakeLauncher(seconds), **changes)
    for one, reference in comparisons:
        runner.measure(one, reference)
    return runner.save()


def by_size(folder, seconds, **changes):
    comparisons = [(case(batch_size=size), case(batch_size=64)) for size in SIZES]
    return run_of(folder, seconds, comparisons, **changes)


def labels(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_the_smallest_batch_that_is_enough_is_the_title_and_marked_in_the_table(tmp_path):
    """1024 is no faster than 256."""
    run = by_size(tmp_path, lambda c: 2e-3 if c.batch_size == 64 else 1e-3)
    figure = drawn(run, "batch_size_speedup")
    assert drawing.title(figure) == "Batch 256 is enough: no larger one is more than 5 % faster"
    shown = text_table(run, "batch_size_speedup")
    advice, batch = shown.columns.index("advice"), shown.columns.index("batch")
    assert {row[batch]: row[advice] for row in shown.rows} == {
        "64": "–",
        "256": "← recommended",
        "1024": "–",
    }


def test_samples_per_second_stand_beside_the_speedup(tmp_path):
    """The reference's rate times the paired speedup."""
    run = by_size(tmp_path, lambda c: 2e-3 if c.batch_size == 64 else 1e-3)
    shown = text_table(run, "batch_size_speedup")
    rate = shown.columns.index("samples/s")
    assert [row[rate] for row in shown.rows] == ["500", "1000", "1000"]


def test_quick_effort_recommends_nothing(tmp_path):
    """It has no intervals."""
    run = by_size(tmp_path, lambda c: 1e-3, effort="quick", blocks=2)
    assert drawing.title(drawn(run, "batch_size_speedup")) == "No batch size can be recommended yet"


def test_speedups_are_sorted_by_value_and_the_title_names_the_largest(tmp_path):
    """Constant words stand in the subtitle alone."""
    factors = {"baseline": 1.0, "improved": 0.5, "half_width": 0.25}
    run = run_of(
        tmp_path,
        lambda c: 1e-3 * factors[c.variant],
        [(case("improved"), case()), (case("half_width"), case()), (case(), case())],
    )
    figure = drawn(run, "model_size_speedup")
    assert drawing.title(figure) == "half_width: 4 times as fast as baseline"
    assert labels(figure) == ["half_width", "improved"], "and not the reference vs itself"
    assert "CPU, tensorflow, 1 thread" in figure.axes[0].get_title(loc="left")
    assert figure.axes[0].get_xscale() == "log"


def test_a_slower_one_is_said_to_be_slower(tmp_path):
    """Not 0.16 times as fast."""
    run = run_of(
        tmp_path,
        lambda c: 1e-3 * {"tensorflow": 1.0, "jax": 6.4, "torch": 2.0}[c.backend],
        [(case(backend=name), case()) for name in ("jax", "torch")],
    )
    assert drawing.title(drawn(run, "backend_speedup")) == "jax: 6.4 times slower than tensorflow"


def test_one_bar_is_one_number_and_has_no_chart(tmp_path):
    """The table has it."""
    run = measured(tmp_path, [(case("improved"), case()), (case(), case())])
    assert drawn(run, "model_size_speedup") is None
    assert drawn(run, "measurements") is None
    assert text_table(run, "model_size_speedup").rows


def test_times_of_cases_are_sorted_and_the_fastest_is_the_title(tmp_path):
    """Where the cases differ in more than their batch size."""
    run = measured(
        tmp_path, [(case("improved", size), case(batch_size=size)) for size in (256, 1024)]
    )
    figure = drawn(run, "measurements")
    assert drawing.title(figure) == "Fastest: improved at batch 1024, 400 µs per sample"
    assert labels(figure)[0] == "improved, batch 1024"
    assert labels(figure)[-1] == "baseline, batch 256"


def test_a_bottleneck_that_is_not_shown_has_no_chart(tmp_path):
    """The table says what would show it."""
    run = by_size(tmp_path, lambda c: 1.0)
    shown = text_table(run, "bottleneck")
    verdict = shown.columns.index("bottleneck")
    assert {"not shown"} == {row[verdict] for row in shown.rows}
    assert drawn(run, "bottleneck") is None


def test_names_say_what_is_unusual_and_the_subtitle_the_rest():
    """Backend and threads of most rows stand once."""
    rows = [
        SimpleNamespace(variant="a", device="cpu", backend=backend, threads=2)
        for backend in ("tensorflow", "tensorflow", "jax")
    ]
    named, same = names_of(rows, ("variant",), ("device", "threads", "backend"))
    assert named == ["a", "a", "a, jax"]
    assert same == "CPU, 2 threads; tensorflow unless named"


def test_a_dataset_is_named_without_its_folder_and_random_data_as_such():
    """As in the caption."""
    rows = [SimpleNamespace(dataset=name) for name in ("fitted", "/data/mine.npz")]
    named, _ = names_of(rows, ("dataset",), ())
    assert named == ["random data", "mine.npz"]


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.1), (0.15, 2.3), (0.7, 30.0), (1900.0, 3100.0)])
def test_a_logarithmic_axis_has_as_many_ticks_as_can_be_read(low, high):
    """And 1 is one of them where it is in sight."""
    ticks = drawing.log_ticks(low, high)
    assert 2 <= len(ticks) <= 9
    assert all(low <= tick <= high for tick in ticks)
    assert (1.0 in ticks) == (low <= 1 <= high)
