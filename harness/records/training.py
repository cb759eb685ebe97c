"""Full trainings, epoch by epoch."""

from dataclasses import dataclass

from harness.records.case import Case
from harness.records.counters import Counters
from harness.records.observations import Surroundings


@dataclass(frozen=True, slots=True)
class Recipe:
    """A full training: what is trained, how long, and what its accuracy is compared with.

    Attributes:
        reference_epochs: Epochs of the reference's training; None for any.
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
        epoch: Number of the epoch, from 1.
        seconds: Training time without validation; epoch 1 includes trace and compile.
        validation_seconds: Time of the validation afterwards.
        loss: Mean over the epoch, while the weights changed.
        accuracy: Likewise; None if the model has no such metric.
        val_loss: On the test set after the epoch; None without a test set. Kept as evidence: no
            table shows it.
        val_accuracy: Likewise, and shown.
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
        sample: Index in the test set.
        label: True class.
        predicted: Class with the highest probability.
        confidence: That probability.
        pixels: A gray image as base64 of zlib of bytes, row by row; None for other samples.
    """

    sample: int
    label: int
    predicted: int
    confidence: float
    pixels: str | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """Everything observed in one full training.

    Attributes:
        mistakes: Of the finished model on the test set; None for no classifier or no test set.
        image_shape: Height and width of the images of mistakes.
        interleaved: Whether trainings of the same seed took turns, epoch by epoch.
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
