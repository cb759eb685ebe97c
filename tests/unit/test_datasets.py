"""Datasets: shapes, held-out parts, and files that cannot be used."""

import numpy as np
import pytest

from harness.errors import BadData, UnknownName
from harness.workloads import datasets


@pytest.fixture(autouse=True)
def _no_mnist_here(monkeypatch, tmp_path):
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    datasets.load.cache_clear()


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def images(count, dtype=np.uint8):
    return np.zeros((count, 28, 28), dtype)


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_bundled_datasets_have_the_size_and_shape_of_mnist(name):
    """So that epoch times compare."""
    data = datasets.load(name)
    assert data.x_train.shape == (60_000, 28, 28, 1)
    assert data.y_train.shape == (60_000, 10)
    assert data.x_test.shape == (10_000, 28, 28, 1)
    assert data.x_train.dtype == data.y_train.dtype == np.float32
    assert 0 <= data.x_train.min() < data.x_train.max() <= 1
    assert set(data.y_train.sum(axis=1)) == {1.0}


def originals(x):
    """The 24×24 picture of each image, wherever it was shifted to."""
    found = set()
    for image in x[..., 0]:
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        found.add(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].tobytes())
    return found


def test_no_digit_is_on_both_sides():
    """However it was shifted."""
    data = datasets.load("digits")
    assert not originals(data.x_train[::7]) & originals(data.x_test)


def test_the_same_seed_gives_the_same_data():
    """And another seed does not."""
    first = datasets.load("digits", 1).x_train[:100].copy()
    datasets.load("digits", 2)
    assert np.array_equal(first, datasets.load("digits", 1).x_train[:100])
    assert not np.array_equal(first, datasets.load("digits", 2).x_train[:100])


def test_auto_is_digits_where_there_is_no_mnist():
    """And never the network."""
    assert datasets.resolve("auto") == "digits"


def test_auto_is_mnist_where_its_file_is(monkeypatch, tmp_path):
    """Named by the environment."""
    path = save(tmp_path / "m.npz", x_train=images(20), y_train=np.arange(20) % 10)
    monkeypatch.setenv("MNIST_NPZ", str(path))
    assert datasets.resolve("auto") == "mnist"
    assert datasets.train_size("mnist") == 20


def test_pixels_are_scaled_and_labels_made_one_hot(tmp_path):
    """As the bundled datasets are."""
    x = images(2)
    x[0] = 255
    path = save(tmp_path / "m.npz", x_train=x, y_train=np.array([1, 0]))
    data = datasets.load(str(path))
    assert data.x_train.shape == (2, 28, 28, 1)
    assert data.x_train.max() == 1.0
    assert data.y_train.tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": images(2), "y": np.zeros(2)}, "lacks x_train, y_train; it holds x, y"),
        ({"x_train": images(2), "y_train": np.zeros(3, int)}, "shape"),
        ({"x_train": images(0), "y_train": np.zeros(0, int)}, "no sample"),
        ({"x_train": images(2), "y_train": np.array([0.5, 1.0])}, "class numbers"),
        ({"x_train": images(2), "y_train": np.array([{}, {}])}, "pickled objects"),
    ],
)
def test_an_npz_that_cannot_be_used_is_explained(tmp_path, arrays, message):
    """In one line that names the file."""
    path = save(tmp_path / "mine.npz", **arrays)
    with pytest.raises(BadData, match=message) as caught:
        datasets.resolve(str(path))
    assert "mine.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_npz_is_explained(tmp_path):
    """As after a download that broke off."""
    path = save(tmp_path / "mine.npz", x_train=images(50), y_train=np.zeros(50, int))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(BadData, match="not a readable"):
        datasets.resolve(str(path))


@pytest.mark.parametrize("name", ["cifar", "no/such.npz"])
def test_an_unknown_dataset_is_explained(name):
    """Neither bundled nor a file."""
    with pytest.raises(UnknownName, match="no dataset"):
        datasets.resolve(name)


def test_a_missing_mnist_file_is_explained(monkeypatch):
    """Rather than another dataset being taken."""
    monkeypatch.setenv("MNIST_NPZ", "/no/such/mnist.npz")
    with pytest.raises(BadData, match="does not exist"):
        datasets.resolve("auto")
