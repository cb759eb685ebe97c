"""Full trainings, epoch by epoch."""

from dataclasses import dataclass

from harness.records.case import Case
from harness.records.counters import Counters
from harness.records.observations import Surroundings


@dataclass(frozen=True, slots=True)
class Recipe:
    """A full training: what is trained, how long, and what its accuracy is compared with."""

    case: Case
    epochs: int
    reference: Case
    reference_epochs: int | None = None  # None for any

    @property
    def key(self) -> str:
        """Which training this is."""
        return f"{self.case.id}-e{self.epochs}"


@dataclass(frozen=True, slots=True)
class Epoch(Counters):
    """One epoch of a full training, and what was counted around it and its validation.

    Earlier runs have no counter but `steal_seconds` and `other_cpu_seconds`.
    """

    epoch: int  # from 1
    seconds: float  # without validation; epoch 1 includes trace and compile
    validation_seconds: float  # afterwards
    loss: float  # mean over the epoch, while the weights changed
    accuracy: float | None = None  # likewise; None if the model has no such metric
    # On the test set after the epoch; None without a test set. The loss is evidence.
    val_loss: float | None = None
    val_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test sample that a trained model gets wrong."""

    sample: int  # index in the test set
    label: int  # true class
    predicted: int  # class with the highest probability
    confidence: float  # that probability
    pixels: str | None = None  # a gray image: base64 of zlib of bytes, row by row


@dataclass(frozen=True, slots=True)
class Training:
    """Everything observed in one full training."""

    recipe: Recipe
    parameters: int
    optimizer: str
    device_name: str
    train_samples: int
    test_samples: int
    epochs: tuple[Epoch, ...]
    mistakes: tuple[Mistake, ...] | None  # None for no classifier or no test set
    image_shape: tuple[int, ...] | None = None  # height and width of the images of mistakes
    interleaved: bool = True  # trainings of the same seed took turns, epoch by epoch
    surroundings: tuple[Surroundings, ...] = ()  # of each epoch; earlier runs have none

    @property
    def key(self) -> str:
        """Which training this is."""
        return self.recipe.key
