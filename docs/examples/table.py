"""A user's model of a table, with several inputs and two outputs, and its data beside it."""

import keras
import numpy as np
from keras import layers

CITIES, ROWS = 50, 20_000


def build():
    numbers = keras.Input((8,), name="numbers")
    city = keras.Input((), dtype="int32", name="city")
    x = layers.Concatenate()([numbers, layers.Embedding(CITIES, 4)(city)])
    x = layers.Dense(64, activation="relu")(x)
    price = layers.Dense(1, name="price")(x)
    sold = layers.Dense(1, activation="sigmoid", name="sold")(x)
    model = keras.Model(
        {"numbers": numbers, "city": city},
        {"price": price, "sold": sold},
    )
    model.compile("adam", {"price": "mse", "sold": "binary_crossentropy"})
    return model


def data():
    """`(x, y)`, or `((x, y), (x_test, y_test))`; several inputs or outputs by name."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(ROWS, 8)).astype("float32")
    city = rng.integers(0, CITIES, ROWS)
    price = numbers.sum(axis=1) + city / CITIES
    return {"numbers": numbers, "city": city}, {"price": price, "sold": (price > 0).astype(int)}
