"""Datasets: MNIST, digits, synthetic, and a user's `.npz`, as arrays in memory.

Every loader gives float32 inputs and targets ready for categorical
cross-entropy. Nothing here imports a framework.
"""

import functools
import os
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadData, UnknownName

CLASSES = 10
TRAIN_SAMPLES = 60_000
TEST_SAMPLES = 10_000
BUNDLED = ("mnist", "digits", "synthetic")
MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_KEYS = ("x_train", "y_train", "x_test", "y_test")

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Arrays in memory.

    Attributes:
        x_train: float32, (samples, 28, 28, 1) for the bundled ones, in 0 … 1.
        y_train: float32 one-hot, (samples, classes).
        x_test: As x_train.
        y_test: As y_train.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array


def resolve(name: str) -> str:
    """Turn `auto` into the best dataset on this machine; never touches the network.

    Raises:
        UnknownName: neither a bundled dataset nor an `.npz` file.
        BadData: the file cannot be read as a dataset.
    """
    if name == "auto":
        return "mnist" if mnist_path() else "digits"
    if name in BUNDLED:
        if name == "mnist" and mnist_path():
            train_size(name)
        return name
    path = Path(name)
    if path.suffix != ".npz":
        raise UnknownName(f"no dataset {name!r}; known: {', '.join(BUNDLED)}, or FILE.npz")
    if not path.is_file():
        raise UnknownName(f"there is no dataset file {name}")
    train_size(name)
    return str(path.resolve())


def train_size(name: str) -> int:
    """Count the training samples; a file is read whole, so that it is checked before a run.

    Raises:
        BadData: the file lacks a key, is truncated, or holds pickled objects.
    """
    if name in ("digits", "synthetic") or (name == "mnist" and not mnist_path()):
        return TRAIN_SAMPLES
    path = mnist_path() if name == "mnist" else Path(name)
    assert path is not None  # noqa: S101  (for mypy: the case without a file returned above)
    return len(_read_npz(path)["y_train"])


def mnist_path() -> Path | None:
    """Find MNIST on this machine: `MNIST_NPZ`, else Keras's cache.

    Raises:
        BadData: `MNIST_NPZ` names a file that does not exist.
    """
    named = os.environ.get("MNIST_NPZ")
    if named:
        if not Path(named).is_file():
            raise BadData(f"MNIST_NPZ names {named}, which does not exist")
        return Path(named)
    cached = _keras_cache()
    return cached if cached.is_file() else None


def _keras_cache() -> Path:
    """Where Keras keeps MNIST."""
    keras_home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    return keras_home / "datasets" / "mnist.npz"


@functools.lru_cache(maxsize=1)
def load(name: str, seed: int = 0) -> Dataset:
    """Load a dataset by its resolved name; the latest one stays in memory.

    The process that forks workers loads it once, and they share its pages.

    Raises:
        BadData: the file cannot be used, or MNIST could not be downloaded.
    """
    if name == "synthetic":
        return _synthetic(seed)
    if name == "digits":
        return _digits(seed)
    if name == "mnist":
        return _from_npz(mnist_path() or _download_mnist())
    return _from_npz(Path(name))


def _synthetic(seed: int) -> Dataset:
    """Ten random prototypes with noise: learnable, and free of any file."""
    rng = np.random.default_rng(seed)
    prototypes = rng.random((CLASSES, 28, 28, 1), dtype=np.float32)

    def draw(samples: int) -> tuple[Array, Array]:
        labels = rng.integers(0, CLASSES, samples)
        noise = rng.random((samples, 28, 28, 1), dtype=np.float32)
        return np.float32(0.5) * (prototypes[labels] + noise), _one_hot(labels, CLASSES)

    return Dataset(*draw(TRAIN_SAMPLES), *draw(TEST_SAMPLES))


def _digits(seed: int) -> Dataset:
    """Scikit-learn's 1797 handwritten digits, at 28×28, extended by small shifts.

    Every fifth original image, and all of its shifts, belongs to the test
    part: no original is on both sides.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    images = np.kron(source.images / 16.0, np.ones((3, 3))).astype(np.float32)  # 8×8 → 24×24
    held_out = np.arange(len(images)) % 5 == 0
    rng = np.random.default_rng(seed)

    def extend(part: Array, samples: int) -> tuple[Array, Array]:
        chosen = rng.permutation(np.resize(np.flatnonzero(part), samples))
        canvas = np.zeros((samples, 28, 28, 1), np.float32)
        rows, columns = rng.integers(0, 5, (2, samples))
        for row in range(5):
            for column in range(5):
                here = (rows == row) & (columns == column)
                canvas[here, row : row + 24, column : column + 24, 0] = images[chosen[here]]
        return canvas, _one_hot(source.target[chosen], CLASSES)

    return Dataset(*extend(~held_out, TRAIN_SAMPLES), *extend(held_out, TEST_SAMPLES))


def _from_npz(path: Path) -> Dataset:
    arrays = _read_npz(path)
    classes = int(arrays["y_train"].max()) + 1 if arrays["y_train"].ndim == 1 else 0

    def inputs(x: Array) -> Array:
        scale = np.float32(255.0 if x.dtype == np.uint8 else 1.0)
        return _with_channel(x.astype(np.float32) / scale)

    def targets(y: Array) -> Array:
        return _one_hot(y, classes) if y.ndim == 1 else y.astype(np.float32)

    x_test = arrays.get("x_test", arrays["x_train"][:0])
    y_test = arrays.get("y_test", arrays["y_train"][:0])
    return Dataset(
        inputs(arrays["x_train"]), targets(arrays["y_train"]), inputs(x_test), targets(y_test)
    )


def _read_npz(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        if "allow_pickle" in str(error):
            raise BadData(f"{path} holds pickled objects; save plain arrays instead") from error
        raise BadData(f"{path} is not a readable .npz file ({error})") from error
    missing = [key for key in ("x_train", "y_train") if key not in arrays]
    if missing:
        raise BadData(
            f"{path} lacks {', '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}"
        )
    for part in ("train", "test"):
        x, y = arrays.get(f"x_{part}"), arrays.get(f"y_{part}")
        if x is not None and y is not None and (0 in (x.ndim, y.ndim) or len(x) != len(y)):
            raise BadData(f"{path}: x_{part} has shape {x.shape}, y_{part} {y.shape}")
    if len(arrays["x_train"]) == 0:
        raise BadData(f"{path}: x_train holds no sample")
    labels = arrays["y_train"]
    if labels.ndim == 1 and (not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0):
        raise BadData(f"{path}: y_train must be class numbers from 0, or one row a sample")
    return arrays


def _with_channel(x: Array) -> Array:
    return x[..., np.newaxis] if x.ndim == 3 else x


def _one_hot(labels: Array, classes: int) -> Array:
    return np.eye(classes, dtype=np.float32)[labels]


def _download_mnist() -> Path:
    target = _keras_cache()
    partial = target.with_suffix(f".{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(MNIST_URL, timeout=30) as answer:
            partial.write_bytes(answer.read())
        _read_npz(partial)
        partial.replace(target)
    except OSError as error:
        raise BadData(
            f"MNIST could not be downloaded ({error}); set MNIST_NPZ to a local mnist.npz, "
            "or use the digits dataset"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return target
