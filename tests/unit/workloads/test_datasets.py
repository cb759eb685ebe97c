"""Datasets: shapes, held-out parts, and files that cannot be used."""

import os
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import BadData, UnknownName
from harness.workloads import datasets, sources, user_data


@pytest.fixture(autouse=True)
def _no_mnist_here(monkeypatch, tmp_path):
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    datasets.load.cache_clear()
    monkeypatch.setattr(sources, "_modules", {})


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
    assert data.x_test.shape == (10_000, 28, 28, 1)
    assert data.x_train.dtype == np.float32
    assert 0 <= data.x_train.min() < data.x_train.max() <= 1
    assert data.y_train.shape == (60_000,)
    assert set(data.y_train) == set(range(10))


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


def test_pixels_are_scaled_and_class_numbers_kept(tmp_path):
    """What a model wants of them is for it to say."""
    x = images(2)
    x[0] = 255
    path = save(tmp_path / "m.npz", x_train=x, y_train=np.array([1, 0]))
    data = datasets.load(str(path))
    assert data.x_train.shape == (2, 28, 28)
    assert data.x_train.max() == 1.0
    assert data.y_train.tolist() == [1, 0]


def test_several_inputs_of_an_npz_are_named(tmp_path):
    """`x_train_NAME` for each."""
    path = save(
        tmp_path / "m.npz",
        x_train_age=np.zeros((3, 1)),
        x_train_words=np.zeros((3, 5), int),
        y_train=np.zeros(3),
    )
    data = datasets.load(str(path))
    assert {name: array.shape for name, array in data.x_train.items()} == {
        "age": (3, 1),
        "words": (3, 5),
    }
    assert {name: len(array) for name, array in data.x_test.items()} == {"age": 0, "words": 0}


def function(tmp_path, body):
    """Write a file whose function `data` has that body; return its name."""
    path = tmp_path / "mine_data.py"
    path.write_text(f"import numpy as np\ndef data():\n    {body}\n")
    return f"{path}:data"


def test_a_function_gives_data_with_or_without_a_test_set(tmp_path, monkeypatch):
    """As arrays, or as `keras.datasets` does."""
    monkeypatch.syspath_prepend(str(tmp_path))
    name = function(tmp_path, "return np.zeros((4, 2)), np.arange(4)")
    data = user_data.load(name)
    assert (data.x_train.shape, data.x_train.dtype, len(data.x_test)) == ((4, 2), np.float32, 0)
    sources._modules.clear()
    both = "([np.ones(4), np.ones((4, 3))], [0.5] * 4), ([np.ones(2), np.ones((2, 3))], [1, 2])"
    data = user_data.load(function(tmp_path, f"return {both}"))
    assert [array.shape for array in data.x_train] == [(4,), (4, 3)]
    assert [array.shape for array in data.x_test] == [(2,), (2, 3)]


LOADER = """
import numpy as np


def table(samples=3):
    return np.ones((samples, 2)), np.ones(samples)
"""


@pytest.mark.parametrize(
    "lines",
    [
        "def data():\n    return table()",
        "from data_loader import table as data",
        "import functools\ndata = functools.partial(table, 3)",
        "if True:\n    def data():\n        return table()",
        "data = table()",
        "class Loader:\n    def __call__(self):\n        return table()\n\ndata = Loader()",
    ],
)
def test_whatever_is_called_data_once_the_file_is_imported_is_used(tmp_path, monkeypatch, lines):
    """Defined, imported, assigned, in a branch, ready, an object that can be called."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "with_data", raising=False)
    monkeypatch.delitem(sys.modules, "data_loader", raising=False)
    (tmp_path / "data_loader.py").write_text(LOADER)
    model = tmp_path / "with_data.py"
    model.write_text(f"from data_loader import table\n{lines}\n")
    name, reason = sources.data_of(f"{model}:build")
    assert (name, reason) == (f"{model}:data", "")
    assert user_data.load(name).epoch_samples == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "no data found"),
        ("import json as data", "no data found"),
        ("class data: pass", "no data found"),
        ("data = 'table.csv'", "is str, neither a function nor data"),
        ("x_train = [1]", "(x_train in {model} is not used: call it data)"),
    ],
)
def test_a_file_without_data_says_why(tmp_path, monkeypatch, line, reason):
    """Random data is then trained, with that reason."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "without_data", raising=False)
    model = tmp_path / "without_data.py"
    model.write_text(line)
    name, found = sources.data_of(f"{model}:build")
    assert name is None
    assert found.endswith(reason.format(model=model))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "returned None, not"),
        ("return 1, 2, 3, 4", "returned 4 values, not"),
        ("return np.zeros((2, 2)), ['cat', 'dog']", r"as y text \('cat'\), not numbers"),
        ("return [[1, 2], [3]], [1, 2]", "as x list of sequences of unlike length; pad them"),
        ("return iter([])", "returned no batch"),
        ("return iter([(1.0, 2.0)])", "returned single samples, not batches"),
        ("return iter([(np.ones((2, 3)), [0, 1]), (np.ones((2, 4)), [0, 1])])", "unlike shapes"),
        ("return np.zeros((3, 2)), np.zeros(4)", r"x_train has shape \(3, 2\), y_train \(4,\)"),
    ],
)
def test_a_function_that_gives_something_else_is_explained(tmp_path, monkeypatch, body, message):
    """With what it should give."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine_data", raising=False)
    with pytest.raises(BadData, match=message):
        user_data.load(function(tmp_path, body))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": images(2), "y": np.zeros(2)}, "lacks x_train, y_train; it holds x, y"),
        ({"x_train": images(2), "y_train": np.zeros(3, int)}, "shape"),
        ({"x_train": images(0), "y_train": np.zeros(0, int)}, "no sample"),
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


def with_member(path, name, data, **changes):
    """Add a member to an archive; `changes` are of what its header says."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
        for field, value in changes.items():
            setattr(archive.getinfo(name), field, value)
    return path


def npy(header):
    """An array file with that header and nothing behind it."""
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    """By what it says of itself; what it does not say is not unpacked."""
    monkeypatch.setattr(datasets, "_free_bytes", lambda: 2**20)
    path = save(tmp_path / "mine.npz", x_train=images(2), y_train=np.zeros(2, int))
    with_member(path, "bomb.npy", bytes(2**20))
    assert path.stat().st_size < 2**14
    with pytest.raises(BadData, match="unpacks to 1 MiB, and 1 MiB of memory are free"):
        datasets.resolve(str(path))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("huge.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2**60,)}")),
        ("huge.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1 << 50,), }")),
        ("huge.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1125899906842624,)}")),
        ("negative.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-4,)}")),
        ("code.npy", npy("__import__('os').system('touch executed')")),
        ("long.npy", b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b"{" * 1000),
        ("deep.npy", npy("(" * 100)),
        ("empty.npy", b""),
        ("object.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}")),
        ("readme.txt", b"no array"),
    ],
)
def test_a_hostile_member_is_refused_and_executes_nothing(tmp_path, monkeypatch, name, data):
    """Headers that claim too much, that are code, that never end; what is no array."""
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / "mine.npz", x_train=images(2), y_train=np.zeros(2, int))
    with pytest.raises(BadData) as caught:
        datasets.resolve(str(with_member(path, name, data)))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


class Bomb:
    """Pickled, it runs a command when it is read."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def test_a_pickle_is_not_executed(tmp_path, monkeypatch):
    """It is refused unread."""
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / "mine.npz", x_train=np.array([Bomb()], object), y_train=np.zeros(1))
    with pytest.raises(BadData, match="pickled objects"):
        datasets.resolve(str(path))
    assert not (tmp_path / "executed").exists()


def test_an_array_that_is_no_archive_is_refused(tmp_path):
    """An `.npy` under another name."""
    with (tmp_path / "mine.npz").open("wb") as file:
        np.save(file, images(2))
    with pytest.raises(BadData, match="not a readable"):
        datasets.resolve(str(tmp_path / "mine.npz"))


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_change_of_an_archive_is_read_or_refused_in_one_line(tmp_path, data):
    """Bytes changed, cut out or put in, anywhere."""
    path = save(tmp_path / "mine.npz", x_train=images(2), y_train=np.zeros(2, int))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 3))
        content[at : at + length] = data.draw(st.binary(max_size=8))
    path.write_bytes(content)
    try:
        datasets.resolve(str(path))
    except BadData as error:
        assert "\n" not in str(error)


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
