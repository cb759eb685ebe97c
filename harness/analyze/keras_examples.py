"""The published figures of the Keras project's own benchmark, and which of them cannot be true.

`keras_examples.csv` holds the table of `keras/benchmarks/keras_examples_benchmarks/README.md` in
the Keras repository: 8 vCPUs of a cloud machine, or two V100 GPUs that share a batch; the version
of TensorFlow is not stated. `epochs` counts the warm-up epoch of that benchmark as well, `samples`
are those of the datasets that it trains on.
"""

import csv
import functools
from dataclasses import dataclass
from importlib import resources

from harness.records import Case

SOURCE = "keras_examples"  # of the variants: `keras_examples:irnn`
_STARTS = 60.0  # seconds: no start of a small model takes longer
_TOO_LONG = 3.0  # times as long as all epochs
_TOO_FAST = 1.1  # times the samples of an epoch; above the rounding of the published digits


@dataclass(frozen=True, slots=True)
class Published:
    """A row of the published table.

    Attributes:
        wall_s: Of the benchmark, its warm-up epoch among it.
        epochs: Of the benchmark, with that one.
        epoch_s: Mean of the epochs but the first.
        samples: Of an epoch.
    """

    batch_size: int
    wall_s: float
    epochs: int
    epoch_s: float
    samples_per_s: float
    samples: int

    @property
    def contradiction(self) -> str:
        """What cannot be true of the row; empty if nothing speaks against it."""
        trained = self.epochs * self.epoch_s
        if self.wall_s - trained > _STARTS and self.wall_s > _TOO_LONG * trained:
            return (
                f"{self.wall_s:.0f} s in all, but {self.epochs} epochs of {self.epoch_s:g} s make "
                f"{trained:.0f} s"
            )
        if self.samples_per_s * self.epoch_s > _TOO_FAST * self.samples:
            made = self.samples_per_s * self.epoch_s
            return f"{made:.0f} samples in {self.epoch_s:g} s, but an epoch has {self.samples}"
        return ""


@functools.cache
def _rows() -> dict[tuple[str, str], Published]:
    file = resources.files("harness.analyze").joinpath("keras_examples.csv")
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return {
        (row["model"], row["device"]): Published(
            int(row["batch_size"]),
            float(row["wall_s"]),
            int(row["epochs"]),
            float(row["epoch_s"]),
            float(row["samples_per_s"]),
            int(row["samples"]),
        )
        for row in rows
    }


def names() -> list[str]:
    """The variants, in the order of the published table."""
    return [f"{SOURCE}:{model}" for model in dict.fromkeys(model for model, _ in _rows())]


def is_example(case: Case) -> bool:
    """Whether a case trains one of the eight models."""
    return case.variant in names()


def published(case: Case) -> Published:
    """Return the published row of a model on a device; its batch size may be another."""
    return _rows()[case.variant.removeprefix(f"{SOURCE}:"), case.device]
