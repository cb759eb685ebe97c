"""The bundled variants: one convolutional network for 28×28×1 images, and changes of it.

The models of `keras.applications` are made here, too. Only a worker calls these functions, which
import Keras.
"""

import inspect
from dataclasses import dataclass
from typing import Any

from harness.errors import UnknownName, similar


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
    hidden: int = 128,
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
    chosen = keras.optimizers.Adadelta(learning_rate=1.0) if optimizer == "adadelta" else optimizer
    model.compile(chosen, "categorical_crossentropy", metrics=["accuracy"])
    return model


def with_changes(*changes: str) -> dict[str, Any]:
    """The arguments of `network` for the baseline with some of the published changes."""
    return {key: value for name in changes for key, value in CHANGES[name].items()}


PUBLISHED = ("baseline", "improved")
# The arguments of `network` for each.
BUNDLED: dict[str, dict[str, Any]] = {
    "baseline": {},
    "improved": with_changes(*CHANGES),
    "wide_kernel": CHANGES["wide_kernel"],
    "no_hidden_dense": CHANGES["no_hidden_dense"],
    # Only a reshape lies between the two dropouts of the improved network, so one that drops
    # 1 − (1 − 0.25)² = 7/16 drops the same share.
    "single_dropout": {**with_changes(*CHANGES), "dropouts": (7 / 16, 0.0)},
    "no_dropout": {"dropouts": (0.0, 0.0)},
    "quarter_width": {"width": 0.25},
    "half_width": {"width": 0.5},
    "double_width": {"width": 2.0},
}


def application(
    name: str, input_shape: tuple[int, ...] | None = None, classes: int | None = None
) -> Any:
    """Build a model of `keras.applications` with random weights, not compiled, or `UnknownName`.

    Without the shape of a sample or a number of classes it has Keras's own, 1000 classes.
    """
    import keras

    function = getattr(keras.applications, name, None)
    if not inspect.isfunction(function):
        known = [n for n in dir(keras.applications) if n[0].isupper()]
        hint = similar(name, known, most=2, cutoff=0.4)
        raise UnknownName(f"Keras has no application {name!r}; {hint}")
    chosen = {} if classes is None else {"classes": classes}
    return function(weights=None, input_shape=input_shape, **chosen)


def saved(path: str) -> Any:
    """Load a model that Keras has saved, `.keras` or `.h5`, with its loss and optimizer."""
    import keras

    return keras.models.load_model(path)
