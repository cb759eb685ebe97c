"""A user's model over sequences of integers: a small transformer that classifies text."""

import keras
from keras import layers, ops

VOCABULARY, LENGTH, WIDTH = 8000, 64, 64


class TokensAndPlaces(layers.Layer):
    """Embed each token and the place where it stands."""

    def __init__(self, **options):
        super().__init__(**options)
        self.tokens = layers.Embedding(VOCABULARY, WIDTH)
        self.places = layers.Embedding(LENGTH, WIDTH)

    def call(self, x):
        return self.tokens(x) + self.places(ops.arange(LENGTH))


def build():
    inputs = keras.Input((LENGTH,), dtype="int32", name="tokens")
    x = TokensAndPlaces()(inputs)
    attended = layers.MultiHeadAttention(num_heads=4, key_dim=WIDTH // 4)(x, x)
    x = layers.LayerNormalization()(x + layers.Dropout(0.1)(attended))
    hidden = layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="gelu")(x))
    x = layers.LayerNormalization()(x + layers.Dropout(0.1)(hidden))
    outputs = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
