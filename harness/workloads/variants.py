"""The bundled variants: one convolutional network for 28×28×1 images, and changes of it.

Only a worker calls the functions, which import Keras. Each returns a compiled model with 10 class
probabilities.
"""

from dataclasses import dataclass
from typing import Any

HIDDEN = 128


@dataclass(frozen=True, slots=True)
class Schedule:
    """Batch size and epochs of a variant's full training."""

    batch_size: int
    epochs: int


BASELINE_SCHEDULE = Schedule(batch_size=256, epochs=15)
IMPROVED_SCHEDULE = Schedule(batch_size=1024, epochs=10)

# The changes of the published improvement, besides the batch size.
CHANGES: dict[str, dict[str, Any]] = {
    "wide_kernel": {"kernel": 9},
    "no_hidden_dense": {"hidden": 0},
    "less_dropout": {"dropouts": (0.25, 0.25)},
    "adam": {"optimizer": "adam"},
}


def network(
    kernel: int = 3,
    hidden: int = HIDDEN,
    dropouts: tuple[float, float] = (0.25, 0.5),
    optimizer: str = "adadelta",
    width: float = 1.0,
) -> Any:
    """Build and compile the network; the defaults are the published baseline.

    Args:
        kernel: Edge of the first convolution's kernel; the second's is 3.
        hidden: Units of the hidden dense layer; 0 for none.
        dropouts: Shares dropped after pooling and before the output; 0 for no layer.
        optimizer: `adadelta`, or `adam`. The published training used Adadelta at the learning
            rate of its paper, 1.0 (Zeiler 2012); the default of Keras 3 is 0.001 and barely learns.
        width: Factor of channels and hidden units.
    """
    import keras
    from keras import layers

    def dropout(share: float) -> list[Any]:
        return [layers.Dropout(share)] if share else []

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(round(32 * width), kernel, activation="relu"),
            layers.Conv2D(round(64 * width), 3, activation="relu"),
            layers.MaxPooling2D(2),
            *dropout(dropouts[0]),
            layers.Flatten(),
            *([layers.Dense(round(hidden * width), activation="relu")] if hidden else []),
            *dropout(dropouts[1]),
            layers.Dense(10, activation="softmax"),
        ]
    )
    optimizers = {
        "adadelta": lambda: keras.optimizers.Adadelta(learning_rate=1.0),
        "adam": keras.optimizers.Adam,
    }
    model.compile(optimizers[optimizer](), "categorical_crossentropy", metrics=["accuracy"])
    return model


def changed(*changes: str) -> Any:
    """Build the baseline with some of the published changes."""
    return network(**{key: value for name in changes for key, value in CHANGES[name].items()})


def baseline() -> Any:
    """Two 3×3 convolutions and a hidden layer of 128; Adadelta at rate 1.0."""
    return network()


def improved() -> Any:
    """All the published changes: a 9×9 first convolution, no hidden layer, less dropout, Adam."""
    return changed(*CHANGES)


def wide_kernel() -> Any:
    """The baseline with a 9×9 first convolution; the hidden layer is kept."""
    return changed("wide_kernel")


def no_hidden_dense() -> Any:
    """The baseline without its hidden layer; the 3×3 kernel is kept."""
    return changed("no_hidden_dense")


def single_dropout() -> Any:
    """`improved` with one dropout in place of two.

    Only a reshape lies between the two, so 1 − (1 − 0.25)² = 7/16 drops the same share.
    """
    return network(kernel=9, hidden=0, dropouts=(7 / 16, 0.0), optimizer="adam")


def no_dropout() -> Any:
    """The baseline without both dropouts."""
    return network(dropouts=(0.0, 0.0))


def quarter_width() -> Any:
    """The baseline with a quarter of its channels and hidden units."""
    return network(width=0.25)


def half_width() -> Any:
    """The baseline with half of its channels and hidden units."""
    return network(width=0.5)


def double_width() -> Any:
    """The baseline with twice its channels and hidden units."""
    return network(width=2.0)


PUBLISHED = ("baseline", "improved")
BUNDLED = (
    *(baseline, improved, wide_kernel, no_hidden_dense, single_dropout, no_dropout),
    *(quarter_width, half_width, double_width),
)
