"""Summaries, tables and charts of runs over fake workers."""

import csv
import dataclasses

import pytest
from samples import batch_sizes, case, dataframe, dataframes, measured, text_table, without_fits

from harness.records import folders
from harness.report import files, formats


def test_batch_size_table_has_its_rows_and_the_published_values(tmp_path):
    """60 s an epoch at 256, 47 s at 1024, 45 s at 4096."""
    frame = dataframe(batch_sizes(tmp_path), "batch_size_speedup")
    assert list(frame["batch_size"]) == [256, 1024, 4096]
    assert list(frame["speedup"]) == pytest.approx([1.0, 1.25, 1.25])
    assert list(frame["verdict"]) == ["same", "faster", "faster"]
    assert list(frame["published"][1:]) == pytest.approx([60 / 47, 60 / 45])
    assert frame["published"].isna()[0]


@pytest.mark.parametrize(
    "changes", [{"dataset": "digits"}, {"backend": "jax"}, {"threads": 2}]
)  # the machine of these runs has one CPU
def test_published_figures_stand_only_beside_what_was_published(tmp_path, changes):
    """MNIST with TensorFlow on all CPUs."""
    one = dataclasses.replace(case(batch_size=1024), **changes)
    run = measured(tmp_path, [(one, dataclasses.replace(one, batch_size=256))])
    assert dataframe(run, "batch_size_speedup")["published"].isna().all()
    assert dataframe(run, "measurements")["published_epoch_s"].isna().all()


def test_quick_effort_names_its_noise_floor(tmp_path):
    """Though it judges nothing."""
    run = batch_sizes(tmp_path, effort="quick")
    built = text_table(run, "batch_size_speedup")
    column = built.columns.index("verdict")
    assert [row[column] for row in built.rows] == ["reference vs itself", "–", "–"]


def test_quick_effort_shows_no_verdict(tmp_path):
    """Two blocks cannot tell."""
    frame = dataframe(batch_sizes(tmp_path, effort="quick"), "batch_size_speedup")
    assert frame["verdict"].isna().all()


def test_model_table_has_the_ratios_of_what_shrank(tmp_path):
    """Parameters fall 16.4-fold."""
    run = measured(tmp_path, [(case("improved"), case())])
    row = dataframe(run, "model_size_speedup").iloc[0]
    assert row["speedup"] == pytest.approx(2.0)
    assert row["parameter_ratio"] == pytest.approx(1_199_882 / 72_970)
    assert row["reference"] == "baseline"


def test_thread_table_has_the_efficiency(tmp_path):
    """1.6 times on two threads is 80 %."""
    run = measured(tmp_path, [(case(threads=t), case(threads=1)) for t in (1, 2)])
    frame = dataframe(run, "thread_speedup")
    assert list(frame["efficiency"]) == pytest.approx([1.0, 0.8])


def test_a_noise_floor_is_in_the_table_of_its_reference_only(tmp_path):
    """Another variant's self-comparison says nothing of this one."""
    comparisons = [
        (case(threads=2), case(threads=2)),
        (case(batch_size=1024), case()),
        (case(), case()),
    ]
    frame = dataframe(measured(tmp_path, comparisons), "batch_size_speedup")
    assert list(frame["threads"] if "threads" in frame else frame["batch_size"]) == [256, 1024]


def test_samples_a_second_times_seconds_a_step_is_the_batch_size(tmp_path):
    """In every row."""
    frame = dataframe(batch_sizes(tmp_path), "measurements")
    assert list(frame["samples_per_s"] * frame["step_us"] / 1e6) == pytest.approx(
        list(frame["batch_size"])
    )


def test_permuting_comparisons_changes_no_number(tmp_path):
    """Order of measurement is no input of the analysis."""
    run = batch_sizes(tmp_path)
    turned = dataclasses.replace(run, outcomes=run.outcomes[::-1])
    for name in ("batch_size_speedup",):
        forward, backward = dataframe(run, name), dataframe(turned, name)
        assert forward.equals(backward)
    keys = ["case", "step_us", "step_us_low", "epoch_s"]
    one, other = (dataframe(r, "measurements")[keys].sort_values("case") for r in (run, turned))
    assert one.to_numpy().tolist() == other.to_numpy().tolist()


def test_epoch_time_says_that_it_was_projected(tmp_path):
    """From a part of `fit`, which is 10 % slower than the plain steps here, once it runs."""
    row = dataframe(batch_sizes(tmp_path), "measurements").iloc[0]
    first_step, later = 0.25 + 0.256, 1.1 * 1e-3
    assert row["epoch_s"] == pytest.approx(first_step + later * (60_000 - 256))
    assert row["epoch_s_source"] == "projected from fit"
    assert row["input_share"] == pytest.approx(row["epoch_s"] / 60 - 1)
    assert row["published_epoch_s"] == 60


def test_a_case_that_was_only_a_reference_has_an_epoch_of_its_steps(tmp_path):
    """No `fit` of it was timed, and the row says so."""
    run = without_fits(measured(tmp_path, [(case("improved"), case())]))
    row = dataframe(run, "measurements").set_index("variant").loc["baseline"]
    assert row["epoch_s"] == pytest.approx(60.0)
    assert row["epoch_s_source"] == "projected from steps"
    assert row[["input_share", "epoch_s_low"]].isna().all()


def test_one_block_has_files_too(tmp_path):
    """A time limit may leave no more; there is no interval and no size that would have shown."""
    run = batch_sizes(tmp_path, blocks=1)
    written = files.write(run, tmp_path)
    assert len(written.tables) == 4
    names = {path.name for path in written.paths}
    assert "batch_size_speedup.png" in names
    assert "measurements.png" not in names, "the chart of batch sizes says the same"
    assert "batch_size_law.png" not in names, "it is not fitted to one block"


def test_a_failed_case_leaves_counts_whole(tmp_path):
    """1199882, not 1199882.0; and Markdown names the failure."""
    broken = case(batch_size=4096)
    run = batch_sizes(tmp_path, failures={broken.id: ("oom", "memory ran out", "")})
    files.write(run, tmp_path)
    with (tmp_path / "tables" / "measurements.csv").open(newline="") as file:
        assert {row["parameters"] for row in csv.DictReader(file)} == {"1199882", ""}
    text = (tmp_path / "tables" / "measurements.md").read_text()
    assert f"Failed: {broken.id}: against {case().id}: oom: memory ran out" in text


def test_a_case_that_failed_in_one_comparison_only_keeps_its_numbers(tmp_path):
    """And says what failed."""
    failures = {case("improved").id: ("error", "it broke", "")}
    run = measured(tmp_path, [(case(), case()), (case("improved"), case())], failures)
    rows = dataframe(run, "measurements").set_index("variant")
    assert rows.loc["baseline", "status"] == "measured"
    assert rows.loc["improved", "status"] == "error"
    assert len(rows) == 2


def test_a_model_without_a_count_has_a_chart_and_the_reason(tmp_path):
    """No bar where there is no ratio."""
    sizes = (256, 1024)
    run = measured(tmp_path, [(case("improved", size), case(batch_size=size)) for size in sizes])
    facts = dataclasses.replace(
        run.outcomes[0].facts, macs_per_sample=None, macs_source="not counted: no rule for LSTM"
    )
    outcomes = tuple(dataclasses.replace(outcome, facts=facts) for outcome in run.outcomes)
    paths = files.write(dataclasses.replace(run, outcomes=outcomes), tmp_path).paths
    assert "model_size_speedup.png" in {path.name for path in paths}
    text = (tmp_path / "tables" / "model_size_speedup.md").read_text()
    assert "MACs of improved: not counted: no rule for LSTM" in text


def test_a_failed_case_is_a_row_with_its_reason(tmp_path):
    """And every measured number of it is missing."""
    broken = case(batch_size=4096)
    run = batch_sizes(tmp_path, failures={broken.id: ("oom", "memory ran out", "")})
    row = dataframe(run, "measurements").set_index("batch_size").loc[4096]
    assert row["status"] == "oom"
    assert row["reason"] == f"against {case().id}: oom: memory ran out"
    assert row[["step_us", "epoch_s", "loss"]].isna().all()


def test_files_are_written_and_hold_the_promised_columns(tmp_path):
    """Tables of each name, and a chart of the speedups."""
    run = batch_sizes(tmp_path)
    files.write(run, tmp_path)
    for name in ("measurements", "batch_size_speedup"):
        for path in (f"tables/{name}.csv", f"tables/{name}.md"):
            assert (tmp_path / path).stat().st_size
    for ending in ("png", "svg"):
        assert (tmp_path / f"charts/batch_size_speedup.{ending}").stat().st_size
    with (tmp_path / "tables" / "batch_size_speedup.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    promised = "variant device batch_size reference speedup low high blocks verdict published"
    assert set(promised.split()) <= set(rows[0])
    assert rows[0]["published"] == "", "a missing value is an empty cell"


def test_a_report_is_made_again_from_the_file_alone(tmp_path):
    """With the same numbers."""
    run = batch_sizes(tmp_path)
    files.write(run, tmp_path)
    before = (tmp_path / "tables" / "measurements.csv").read_text()
    files.write(folders.read(tmp_path), tmp_path)
    assert before == (tmp_path / "tables" / "measurements.csv").read_text()


@pytest.mark.parametrize("name", ["measurements", "batch_size_speedup"])
@pytest.mark.parametrize("width", [80, 100, 160])
def test_console_tables_fit_their_width(tmp_path, name, width):
    """No cell is broken over lines; what is left out is named."""
    from rich.console import Console

    run = batch_sizes(tmp_path)
    frame = dataframes(run)[name]
    built = text_table(run, name)
    console = Console(width=width, record=True)
    console.print(formats.to_rich(built, width))
    text = console.export_text()
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    cells = [line for line in lines if line.startswith(" baseline")]
    assert len(cells) == len(frame)


def test_what_all_rows_share_stands_in_the_title(tmp_path):
    """Rather than in a column of equal cells."""
    run = batch_sizes(tmp_path)
    built = text_table(run, "batch_size_speedup")
    assert "device: cpu" in built.title
    assert "device" not in built.columns
