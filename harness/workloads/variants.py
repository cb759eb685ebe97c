"""The bundled variants: one small function each, returning a compiled model.

Keras is imported inside the functions: only a worker ever calls them.
Both take 28×28×1 images and give 10 class probabilities.
"""

from typing import Any


def baseline() -> Any:
    """Two 3×3 convolutions and a hidden layer of 128; Adadelta at rate 1.0.

    The published training used Adadelta at learning rate 1.0, its paper's
    value (Zeiler 2012); the default of Keras 3 is 0.001 and barely learns.
    """
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ],
        name="baseline",
    )
    optimizer = keras.optimizers.Adadelta(learning_rate=1.0)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def improved() -> Any:
    """A 9×9 first convolution and no hidden layer; Adam."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 9, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ],
        name="improved",
    )
    model.compile(keras.optimizers.Adam(), "categorical_crossentropy", metrics=["accuracy"])
    return model
