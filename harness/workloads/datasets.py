"""Datasets as arrays in memory: MNIST, digits, synthetic, a user's `.npz` or function.

Targets stay as they are stored, `fitting` adapts them to a model. No framework is imported.
"""

import contextlib
import dataclasses
import functools
import operator
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import units
from harness.errors import BadData, UnknownName
from harness.workloads import sources

CLASSES = 10
TRAIN_SAMPLES = 60_000
TEST_SAMPLES = 10_000
MOST_BYTES = 256 * 2**20  # that random data, or a part of a pipeline, takes in memory
HELD_BATCHES = 8  # that rounds train on, over and over
BUNDLED = ("mnist", "digits", "synthetic")
MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_KEYS = ("x_train", "y_train", "x_test", "y_test")

AUTO = "auto"  # of a user's model: its own, else bundled images or random data, as fits
FITTED = "fitted"  # random data that fits the model, see `harness.workloads.fitting`

Array = NDArray[Any]
Arrays = Array | dict[str, Any] | tuple[Any, ...]  # of several inputs: by name, or in order


@dataclass(frozen=True, slots=True)
class Dataset:
    """Arrays of the shape (samples, …); a test set without samples if there is none.

    The bundled ones have float32 images (samples, 28, 28, 1) in 0 … 1 and class numbers.
    `train_samples` are those of an epoch, if not the length of the arrays; targets that a model
    does not need are the empty tuple.
    """

    x_train: Arrays
    y_train: Arrays
    x_test: Arrays
    y_test: Arrays
    train_samples: int | None = None
    weights: Arrays | None = None  # of the training samples
    left_out: int = 0  # training samples that fill no batch, see `of_whole_batches`
    pipeline: Any = None  # a `Pipeline` that the training arrays are the first batches of
    unlike: str = ""  # why the model cannot be given what that pipeline gives

    def part(self, count: int) -> tuple[Arrays, ...]:
        """Return the first training samples as `fit` takes them: x, y and weights, if any."""
        whole = (self.x_train, self.y_train, *(() if self.weights is None else (self.weights,)))
        present = whole if leaves(self.y_train) else whole[:1]
        return tuple(mapped(one, operator.itemgetter(slice(count))) for one in present)

    def test_part(self) -> tuple[Arrays, ...]:
        """Return the test set as `fit` takes it: x, and y if there are targets."""
        return (self.x_test, self.y_test) if leaves(self.y_test) else (self.x_test,)

    def repeated(self, count: int) -> "Dataset":
        """Repeat the training samples until there are so many, or 256 MiB."""
        held = samples(self.x_train)
        size = sum(array.nbytes for array in leaves(self.x_train))
        count = min(count, max(held, MOST_BYTES * held // max(1, size)))

        def again(array: Array) -> Array:
            return array[np.arange(count) % held]

        return dataclasses.replace(
            self,
            x_train=mapped(self.x_train, again),
            y_train=mapped(self.y_train, again),
            weights=None if self.weights is None else mapped(self.weights, again),
        )

    def of_whole_batches(self, batch_size: int) -> "Dataset":
        """Leave out the samples that fill no batch of that size, for training and for testing."""

        def cut(arrays: Any, count: int) -> Any:
            return mapped(arrays, operator.itemgetter(slice(count)))

        train, test = (samples(x) // batch_size * batch_size for x in (self.x_train, self.x_test))
        epoch = self.train_samples
        return dataclasses.replace(
            self,
            x_train=cut(self.x_train, train),
            y_train=cut(self.y_train, train),
            x_test=cut(self.x_test, test),
            y_test=cut(self.y_test, test),
            train_samples=None if epoch is None else epoch // batch_size * batch_size,
            weights=None if self.weights is None else cut(self.weights, train),
            left_out=self.epoch_samples % batch_size,
        )

    @property
    def epoch_samples(self) -> int:
        """Samples per epoch."""
        return self.train_samples or samples(self.x_train)


def leaves(nested: Any) -> list[Any]:
    """The arrays, tensors or losses in dicts, tuples and lists, or a single one."""
    if isinstance(nested, dict):
        nested = [*nested.values()]
    if isinstance(nested, (tuple, list)):
        return [leaf for part in nested for leaf in leaves(part)]
    return [nested]


def samples(arrays: Arrays) -> int:
    """How many samples each of the arrays holds."""
    return len(leaves(arrays)[0])


def mapped(nested: Any, change: Callable[[Any], Any]) -> Any:
    """The same dicts and tuples with every array in them changed."""
    if isinstance(nested, dict):
        return {name: mapped(part, change) for name, part in nested.items()}
    if isinstance(nested, tuple):
        return tuple(mapped(part, change) for part in nested)
    return change(nested)


def none_of(arrays: Arrays) -> Any:
    """The same structure without a sample."""
    return mapped(arrays, lambda array: array[:0])


def resolve(name: str) -> str:
    """Check a dataset's name, and turn `auto` into MNIST if it is here, else digits.

    `UnknownName` if it is neither bundled nor a file, `BadData` if the file is no dataset.
    """
    if name == AUTO:
        return "mnist" if mnist_path() else "digits"
    if sources.is_own(name):
        sources.check(name)
        return name
    path, known = Path(name), (*BUNDLED, FITTED)
    if name not in known and path.suffix != ".npz":
        names = ", ".join((*known, "FILE.npz"))
        raise UnknownName(f"no dataset {name!r}; known: {names}, or FILE.py:function")
    if name not in known and not path.is_file():
        raise UnknownName(f"there is no dataset file {name}")
    train_size(name)
    return name if name in known else str(path.resolve())


def train_size(name: str) -> int | None:
    """Count the training samples; reading the whole file checks it before a run, see `BadData`.

    None for data in a file of the user's, which only a worker imports.
    """
    if sources.is_own(name):
        return None
    path = mnist_path() if name == "mnist" else Path(name)
    if path is None or name in ("digits", "synthetic", FITTED):
        return TRAIN_SAMPLES
    return samples(_from_npz(path).y_train)


def mnist_path() -> Path | None:
    """Find MNIST: `MNIST_NPZ`, `BadData` if that file does not exist; else in Keras's cache."""
    if named := os.environ.get("MNIST_NPZ"):
        if not Path(named).is_file():
            raise BadData(f"MNIST_NPZ names {named}, which does not exist")
        return Path(named)
    cached = _keras_cache()
    return cached if cached.is_file() else None


def _keras_cache() -> Path:
    home = Path("/tmp")  # noqa: S108  (Keras takes it where there is no home)
    with contextlib.suppress(RuntimeError):  # neither HOME nor the user is known
        home = Path.home()
    return Path(os.environ.get("KERAS_HOME", home / ".keras")) / "datasets" / "mnist.npz"


@functools.lru_cache(maxsize=1)
def load(name: str, seed: int = 0) -> Dataset:
    """Load a dataset by its resolved name; the latest one stays in memory.

    The process that forks workers loads it once, and they share its pages. A user's function is
    not called here: a framework that it starts must be the worker's own. `BadData` if the file
    cannot be used, or MNIST could not be downloaded.
    """
    if name == "synthetic":
        return _synthetic(seed)
    if name == "digits":
        return _digits(seed)
    return _from_npz(Path(name) if name != "mnist" else mnist_path() or _download_mnist())


def _synthetic(seed: int) -> Dataset:
    """Ten random prototypes with noise: learnable, without a file."""
    rng = np.random.default_rng(seed)
    prototypes = rng.random((CLASSES, 28, 28, 1), dtype=np.float32)

    def draw(count: int) -> tuple[Array, Array]:
        labels = rng.integers(0, CLASSES, count)
        noise = rng.random((count, 28, 28, 1), dtype=np.float32)
        return np.float32(0.5) * (prototypes[labels] + noise), labels

    return Dataset(*draw(TRAIN_SAMPLES), *draw(TEST_SAMPLES))


def _digits(seed: int) -> Dataset:
    """Scikit-learn's 1797 handwritten digits at 28×28, extended by small shifts.

    Every fifth original image, with all of its shifts, belongs to the test set.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    images = np.kron(source.images / 16.0, np.ones((3, 3))).astype(np.float32)  # 8×8 → 24×24
    held_out = np.arange(len(images)) % 5 == 0
    rng = np.random.default_rng(seed)

    def extend(part: Array, count: int) -> tuple[Array, Array]:
        chosen = rng.permutation(np.resize(np.flatnonzero(part), count))
        canvas = np.zeros((count, 28, 28, 1), np.float32)
        rows, columns = rng.integers(0, 5, (2, count))
        for row in range(5):
            for column in range(5):
                here = (rows == row) & (columns == column)
                canvas[here, row : row + 24, column : column + 24, 0] = images[chosen[here]]
        return canvas, source.target[chosen]

    return Dataset(*extend(~held_out, TRAIN_SAMPLES), *extend(held_out, TEST_SAMPLES))


def plain(given: Any) -> Array:
    """Bytes of images become 0 … 1, and float64 becomes float32."""
    array = np.asarray(given)
    if array.dtype == np.uint8 and array.ndim > 2:
        return array.astype(np.float32) / np.float32(255)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def checked(
    name: str,
    x_train: Arrays,
    y_train: Arrays | None,
    x_test: Arrays | None = None,
    y_test: Arrays | None = None,
    weights: Arrays | None = None,
    train_samples: int | None = None,
) -> Dataset:
    """A dataset with one target per sample; without the arrays of a test set it has no samples."""
    y_train = () if y_train is None else y_train
    x_test = none_of(x_train) if x_test is None else x_test
    y_test = none_of(y_train) if y_test is None else y_test
    for part, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        arrays = [*leaves(x), *leaves(y)]
        if part == "train" and weights is not None:
            arrays += leaves(weights)
        if any(array.ndim == 0 for array in arrays) or len({len(a) for a in arrays}) > 1:
            shapes = [" and ".join(str(a.shape) for a in leaves(side)) for side in (x, y)]
            raise BadData(f"{name}: x_{part} has shape {shapes[0]}, y_{part} {shapes[1]}")
    data = Dataset(x_train, y_train, x_test, y_test, train_samples, weights)
    if data.epoch_samples == 0:
        raise BadData(f"{name}: x_train holds no sample")
    return data


def _from_npz(path: Path) -> Dataset:
    """Read `x_train`, `y_train`, `x_test`, `y_test`; several inputs are `x_train_NAME`."""
    arrays = _read_npz(path)
    found: dict[str, Any] = {}
    for part in MNIST_KEYS:
        start = f"{part}_"
        named = {key.removeprefix(start): a for key, a in arrays.items() if key.startswith(start)}
        if part in arrays or named:
            found[part] = mapped(arrays.get(part, named), plain)
    if missing := [key for key in MNIST_KEYS[:2] if key not in found]:
        held = ", ".join(arrays) or "nothing"
        raise BadData(f"{path} lacks {', '.join(missing)}; it holds {held}")
    return checked(str(path), **found)


def _read_npz(path: Path) -> dict[str, Array]:
    """Read all arrays; nothing is executed, and nothing larger than memory is unpacked."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            size, free = sum(m.file_size for m in archive.zip.infolist()), _free_bytes()
            # Images become four times as large, and both copies are held for a moment.
            if free is not None and size > free // 5:
                unpacked, left = units.mebibytes(size), units.mebibytes(free)
                raise BadData(f"{path} unpacks to {unpacked}, and {left} of memory are free")
            arrays = {key: archive[key] for key in archive.files}
    except BadData:
        raise
    except Exception as error:  # zipfile and NumPy raise many errors for a damaged file
        if "allow_pickle" in str(error):
            raise BadData(f"{path} holds pickled objects; save plain arrays instead") from error
        why = " ".join(str(error).split())
        raise BadData(f"{path} is not a readable .npz file ({why})") from error
    if other := [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise BadData(f"{path} holds {', '.join(other)}, which is no array")
    return arrays


def _free_bytes() -> int | None:
    """Available memory; None if the kernel does not report it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _download_mnist() -> Path:
    target = _keras_cache()
    partial = target.with_suffix(f".{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(MNIST_URL, timeout=30) as answer:
            partial.write_bytes(answer.read())
        _from_npz(partial)
        partial.replace(target)
    except OSError as error:
        raise BadData(
            f"MNIST could not be downloaded ({error}); set MNIST_NPZ to a local mnist.npz, "
            "or use the digits dataset"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return target
