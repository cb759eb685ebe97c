"""Data made to fit a model, and datasets fitted to it."""

import numpy as np
import pytest

from harness.errors import BadData
from harness.workloads import fitting
from harness.workloads.datasets import Dataset, leaves
from harness.workloads.fitting import Input, Output, Signature

IMAGE = Input("image", (28, 28, 1), "float32")


def signature(shape, loss, *inputs):
    """A model of one output."""
    return Signature(inputs or (IMAGE,), (Output("out", shape, loss),))


def dataset(x, y):
    """Without a test set."""
    return Dataset(x, y, x[:0], y[:0])


@pytest.mark.parametrize(
    ("shape", "loss", "expected", "values"),
    [
        ((10,), "sparse_categorical_crossentropy", (), set(range(10))),
        ((7, 4), "sparse_categorical_crossentropy", (7,), set(range(4))),
        ((10,), "categorical_crossentropy", (10,), {0, 1}),
        ((3,), "binary_crossentropy", (3,), {0, 1}),
        ((16,), "circle", (), set(range(10))),
    ],
)
def test_targets_are_what_the_loss_takes(shape, loss, expected, values):
    """Class numbers, one-hot rows, or zeros and ones."""
    data = fitting.make(signature(shape, loss), 8)
    assert data.y_train.shape[1:] == expected
    assert set(np.unique(data.y_train)) == values
    if loss == "categorical_crossentropy":
        assert set(data.y_train.sum(axis=-1)) == {1.0}


@pytest.mark.parametrize("loss", ["mean_squared_error", "poisson", "log_cosh", ""])
def test_other_targets_are_numbers_of_the_shape_of_the_output(loss):
    """Between 0 and 1."""
    y = fitting.make(signature((3, 2), loss), 8).y_train
    assert y.shape[1:] == (3, 2)
    assert 0 <= y.min() < y.max() <= 1


def test_labels_of_ctc_are_sequences_without_the_blank():
    """Shorter than the output."""
    y = fitting.make(signature((40, 5), "ctc"), 8).y_train
    assert y.shape[1:] == (10,)
    assert set(np.unique(y)) == {1, 2, 3, 4}


def test_whole_numbers_stay_below_the_vocabulary():
    """In the type that the input has, even if that is float32."""
    inputs = (Input("a", (5,), "int32", below=3), Input("b", (), "float32", below=2))
    wanted = Signature(inputs, (Output("o", (1,), "mean_squared_error"),), takes={"a": 0, "b": 1})
    x = fitting.make(wanted, 8).x_train
    assert set(np.unique(x["a"])) == {0, 1, 2}
    assert x["a"].dtype == np.int32
    assert (x["b"].dtype, x["b"].ndim) == (np.float32, 1)


def test_an_epoch_of_made_data_is_60_000_samples_however_few_are_in_memory():
    """Of large samples two batches are held."""
    large = Input("image", (512, 512, 3), "float32")
    data = fitting.make(signature((10,), "categorical_crossentropy", large), 50)
    assert len(data.x_train) == 100
    assert data.epoch_samples == 60_000


@pytest.mark.parametrize(
    ("inputs", "shape", "message"),
    [
        ((), (1,), "does not say what it takes"),
        ((Input("words", (), "string"),), (1,), "takes text"),
        ((Input("image", (None, 3), "float32"),), (1,), "open shape"),
        ((IMAGE,), None, "does not say what it gives"),
    ],
)
def test_what_cannot_be_made_is_explained(inputs, shape, message):
    """With what to do."""
    wanted = Signature(inputs, (Output("o", shape, ""),))
    with pytest.raises(BadData, match=message):
        fitting.make(wanted, 8)


def test_class_numbers_become_what_the_loss_takes():
    """One-hot rows or class numbers, from either."""
    x, labels = np.zeros((3, 28, 28), np.float32), np.array([2, 0, 1])
    one_hot = signature((10,), "categorical_crossentropy")
    sparse = signature((10,), "sparse_categorical_crossentropy")
    rows = fitting.fit(dataset(x, labels), one_hot, "mine")
    assert rows.x_train.shape == (3, 28, 28, 1)
    assert rows.y_train.argmax(axis=1).tolist() == labels.tolist()
    again = fitting.fit(dataset(x, rows.y_train), sparse, "mine")
    assert again.y_train.tolist() == labels.tolist()


def test_numbers_become_a_column():
    """For a regression of one output."""
    table = Input("table", (4,), "float32")
    wanted = signature((1,), "mean_squared_error", table)
    data = fitting.fit(dataset(np.zeros((3, 4)), np.array([0.5, 1.5, -2.0])), wanted, "mine")
    assert data.y_train.tolist() == [[0.5], [1.5], [-2.0]]
    assert data.x_train.dtype == np.float32


def test_what_already_fits_is_not_copied():
    """Workers share the pages of a large dataset."""
    x = np.zeros((3, 28, 28, 1), np.float32)
    data = fitting.fit(dataset(x, np.arange(3)), signature((10,), "categorical_crossentropy"), "m")
    assert np.shares_memory(data.x_train, x)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 8)), np.arange(3), r"input image shape \(28, 28, 1\), mine has \(8\)"),
        (np.zeros((3, 28, 28)), np.array([0, 1, 12]), r"output shape \(10\), mine has 13 classes"),
        (np.zeros((3, 28, 28)), np.zeros((3, 4)), r"output shape \(10\), mine has \(4\)"),
        (np.zeros((3, 28, 28)), np.array([-1, 0, 1]), "class numbers start at 0"),
        ({"other": np.zeros((3, 28, 28))}, np.arange(3), "lacks input image; it has other"),
        ((np.zeros((3, 2)), np.zeros((3, 2))), np.arange(3), r"1 inputs \(image\), mine has 2"),
    ],
)
def test_a_dataset_that_does_not_fit_is_explained(x, y, message):
    """With both shapes."""
    empty = {k: v[:0] for k, v in x.items()} if isinstance(x, dict) else x[:0]
    if isinstance(x, tuple):
        empty = tuple(part[:0] for part in x)
    with pytest.raises(BadData, match=message):
        fitting.fit(
            Dataset(x, y, empty, y[:0]), signature((10,), "categorical_crossentropy"), "mine"
        )


def test_several_inputs_and_outputs_are_matched_by_name_or_order():
    """Whichever way the user gives them."""
    wanted = Signature(
        (Input("a", (2,), "float32"), Input("b", (), "int32", 9)),
        (Output("p", (1,), "mean_squared_error"), Output("q", (1,), "binary_crossentropy")),
        takes={"a": 0, "b": 1},
        gives=(0, 1),
    )
    a, b, p, q = np.ones((3, 2)), np.arange(3), np.ones(3), np.array([0, 1, 1])
    none = (a[:0], b[:0])
    by_order = Dataset((a, b), (p, q), none, (p[:0], q[:0]))
    by_name = Dataset(
        {"b": b, "a": a}, {"q": q, "p": p}, {"b": b[:0], "a": a[:0]}, {"q": q[:0], "p": p[:0]}
    )
    for data in (by_order, by_name):
        fitted = fitting.fit(data, wanted, "mine")
        assert list(fitted.x_train) == ["a", "b"]
        assert [y.shape for y in leaves(fitted.y_train)] == [(3, 1), (3, 1)]
        assert fitted.y_train[1].ravel().tolist() == [0, 1, 1]


def test_only_what_the_bundled_datasets_fit_gets_them():
    """One 28×28×1 image to one of ten classes."""
    assert fitting.takes_images(signature((10,), "categorical_crossentropy"))
    assert not fitting.takes_images(signature((2,), "categorical_crossentropy"))
    assert not fitting.takes_images(signature((10,), "mean_squared_error"))


def test_a_signature_is_written_on_one_line():
    """As the trial of a model shows it."""
    tokens = Input("tokens", (128,), "int32", 8000)
    assert str(signature((2,), "", tokens)) == "tokens int32 (128) → (2)"


@pytest.mark.parametrize(
    ("labels", "named"), [([0, 3, 1], "label 3 of sample 1"), ([0, -1, 2], "label -1 of sample 1")]
)
def test_the_first_label_out_of_range_is_named(labels, named):
    """Unless the loss leaves it out."""
    given = dataset(np.zeros((3, 28, 28, 1)), np.array(labels))
    loss = "sparse_categorical_crossentropy"
    with pytest.raises(BadData, match=f"{named} is out of range; the model has 3 classes, 0 to 2"):
        fitting.fit(given, signature((3,), loss), "mine")
    (odd,) = (label for label in labels if not 0 <= label < 3)
    lenient = Signature((IMAGE,), (Output("out", (3,), loss, odd),))
    assert fitting.fit(given, lenient, "mine").y_train.tolist() == labels
