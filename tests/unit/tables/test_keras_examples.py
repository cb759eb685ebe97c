"""The table of the Keras project's example models."""

import pytest
from samples import case, dataframe, drawn, measured, text_table

MODELS = ("cifar10_cnn", "irnn")


@pytest.fixture
def run(tmp_path):
    pairs = [
        (
            case(f"keras_examples:{model}", size, backend=backend),
            case(f"keras_examples:{model}", backend=backend),
        )
        for backend in ("tensorflow", "jax")
        for model in MODELS
        for size in (256, 1024)
    ]
    return measured(tmp_path, pairs)


def test_published_figures_stand_in_the_row_of_their_batch_size(run):
    """Once per model and backend."""
    table = dataframe(run, "keras_examples")
    assert len(table) == 8
    known = table[table["published_samples_per_s"].notna()]
    assert [*known["variant"]] == [f"keras_examples:{m}" for m in MODELS] * 2
    assert [*known["batch_size"]] == [256, 1024] * 2
    assert [*known["published_samples_per_s"]] == [15397.69, 868.08] * 2
    rates = table["samples_per_s"] * table["epoch_s"]
    assert [*rates.round()] == [50_000, 50_000, 60_000, 60_000] * 2


def test_the_speedup_is_over_the_smallest_size(run):
    """Which has none itself."""
    table = dataframe(run, "keras_examples")
    larger = table[table["batch_size"] == 1024]
    assert {*larger["reference"]} == {256}
    assert [*larger["speedup"].round(2)] == [1.25] * 4
    assert table[table["batch_size"] == 256]["speedup"].isna().all()


def test_what_contradicts_itself_is_marked_and_explained_once(run):
    """For both backends."""
    shown = text_table(run, "keras_examples")
    cells = [cell for row in shown.rows for cell in row if cell.endswith(" !")]
    assert cells == ["15398 !"] * 2
    (note,) = (note for note in shown.notes if note.startswith("!"))
    assert note.endswith("1393 s in all, but 6 epochs of 3.21 s make 19 s")


def test_the_chart_has_a_line_per_model_and_backend(run):
    """And says where a larger batch brings most."""
    figure = drawn(run, "keras_examples")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [f"{m}, {b}" for b in ("tensorflow", "jax") for m in MODELS]
    assert figure.get_suptitle().startswith("Batch 1024 brings most to ")


def test_other_runs_have_no_such_table(tmp_path):
    """Nor chart."""
    run = measured(tmp_path, [(case(), case())])
    assert dataframe(run, "keras_examples").empty
    assert drawn(run, "keras_examples") is None
