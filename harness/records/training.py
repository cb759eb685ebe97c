"""Trainings in full, epoch by epoch."""

from dataclasses import dataclass

from harness.records.case import Case
from harness.records.counters import Counters
from harness.records.observations import Surroundings


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training in full: what is trained, how long, and what its accuracy is compared with.

    Attributes:
        reference_epochs: Those of the training compared with; None for any.
    """

    case: Case
    epochs: int
    reference: Case
    reference_epochs: int | None = None

    @property
    def key(self) -> str:
        """Which training this is."""
        return f"{self.case.id}-e{self.epochs}"


@dataclass(frozen=True, slots=True)
class Epoch(Counters):
    """One epoch of a full training, and what was counted around it and its validation.

    Earlier runs have no counter but `steal_seconds` and `other_cpu_seconds`.

    Attributes:
        epoch: Its number, from 1.
        seconds: Training; that of epoch 1 holds trace and compile, none holds the validation.
        validation_seconds: Validation after it.
        loss: Mean over the epoch, while the weights changed.
        accuracy: Likewise; None when the model has no such metric.
        val_loss: On the test set, after the epoch; None without a test set.
        val_accuracy: Likewise.
    """

    epoch: int
    seconds: float
    validation_seconds: float
    loss: float
    accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test sample that a trained model gets wrong.

    Attributes:
        sample: Its index in the test set.
        label: Its class.
        predicted: The class that the model gives it.
        confidence: The probability that the model gives that class.
        pixels: A gray image as base64 of zlib of bytes, row by row; None for other samples.
    """

    sample: int
    label: int
    predicted: int
    confidence: float
    pixels: str | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """Everything observed of one training in full.

    Attributes:
        test_samples: Size of the test set.
        mistakes: Those of the finished model on the test set; None when it is no classifier
            or there is no test set.
        image_shape: Height and width of the pixels of mistakes.
        interleaved: Whether it took turns, epoch by epoch, with the others of its seed.
        surroundings: What changed around each epoch; empty in runs from before it was recorded.
    """

    recipe: Recipe
    parameters: int
    optimizer: str
    device_name: str
    train_samples: int
    test_samples: int
    epochs: tuple[Epoch, ...]
    mistakes: tuple[Mistake, ...] | None
    image_shape: tuple[int, ...] | None = None
    interleaved: bool = True
    surroundings: tuple[Surroundings, ...] = ()

    @property
    def key(self) -> str:
        """Which training this is."""
        return self.recipe.key
