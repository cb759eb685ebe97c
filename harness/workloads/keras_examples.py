"""The eight models of the Keras project's own benchmark, as `keras_examples:NAME`.

Written anew in Keras 3 from their description in `keras/benchmarks/keras_examples_benchmarks` of
the Keras repository, with the same layers, sizes, losses and optimizers. Only a worker calls these
functions, which import Keras.
"""

from typing import Any

_WORDS, _LENGTH = 20_000, 200  # of the reviews of IMDB: vocabulary, and words of a review


def cifar10_cnn() -> Any:
    """Four convolutions on images of 32×32×3."""
    import keras
    from keras import layers

    def block(filters: int) -> list[Any]:
        return [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.Conv2D(filters, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
        ]

    return _sequential(
        (32, 32, 3),
        [*block(32), *block(64), layers.Flatten()],
        [layers.Dense(512, "relu"), layers.Dropout(0.5), layers.Dense(10, "softmax")],
        optimizer=keras.optimizers.RMSprop(1e-4),
    )


def mnist_conv() -> Any:
    """Two convolutions on images of 28×28×1."""
    from keras import layers

    return _sequential(
        (28, 28, 1),
        [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2)],
        [layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2)],
        [layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, "softmax")],
        optimizer="adam",
    )


def hierarchical_rnn() -> Any:
    """An LSTM over the pixels of each row, and one over the rows."""
    from keras import layers

    return _sequential(
        (28, 28, 1),
        [layers.TimeDistributed(layers.LSTM(128)), layers.LSTM(128)],
        [layers.Dense(10, "softmax")],
        optimizer="rmsprop",
    )


def bidirectional_lstm() -> Any:
    """Two bidirectional LSTMs over 200 words."""
    from keras import layers

    return _sequential(
        (_LENGTH,),
        [layers.Embedding(_WORDS, 128)],
        [layers.Bidirectional(layers.LSTM(64, return_sequences=True))],
        [layers.Bidirectional(layers.LSTM(64)), layers.Dense(1, "sigmoid")],
        optimizer="adam",
        loss="binary_crossentropy",
        dtype="int32",
    )


def text_transformer() -> Any:
    """A transformer block over 200 words."""
    import keras
    from keras import layers, ops

    class Places(layers.Layer):  # type: ignore[misc]  # Keras has no types
        def __init__(self) -> None:
            super().__init__()
            self.embedding = layers.Embedding(_LENGTH, 32)

        def build(self, shape: Any) -> None:
            self.embedding.build(shape[1:2])

        def call(self, x: Any) -> Any:
            return x + self.embedding(ops.arange(_LENGTH))

    words = keras.Input((_LENGTH,), dtype="int32")
    x = Places()(layers.Embedding(_WORDS, 32)(words))
    seen = layers.Dropout(0.1)(layers.MultiHeadAttention(2, 16)(x, x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + seen)
    thought = layers.Dense(32)(layers.Dense(32, "relu")(x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(thought))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling1D()(x))
    x = layers.Dropout(0.1)(layers.Dense(20, "relu")(x))
    model = keras.Model(words, layers.Dense(2, "softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def reuters_mlp() -> Any:
    """Two dense layers over the 1000 most frequent words of a newswire."""
    from keras import layers

    return _sequential(
        (1000,),
        [layers.Dense(512, "relu"), layers.Dropout(0.5), layers.Dense(46, "softmax")],
        optimizer="adam",
    )


def antirectifier() -> Any:
    """A layer of its own that keeps the negative part as well."""
    import keras
    from keras import layers, ops

    class Antirectifier(layers.Layer):  # type: ignore[misc]  # Keras has no types
        def build(self, shape: Any) -> None:
            width = shape[-1]
            self.kernel = self.add_weight((2 * width, width), initializer="he_normal")

        def call(self, x: Any) -> Any:
            x -= ops.mean(x, axis=-1, keepdims=True)
            both = ops.concatenate([ops.relu(x), ops.relu(-x)], axis=-1)
            return ops.matmul(both, self.kernel)

    return _sequential(
        (784,),
        [layers.Dense(256), Antirectifier(), layers.Dense(256), Antirectifier()],
        [layers.Dropout(0.5), layers.Dense(10)],
        optimizer="rmsprop",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )


def irnn() -> Any:
    """A recurrent network of rectified linear units over 784 pixels."""
    import keras
    from keras import initializers, layers

    recurrent = layers.SimpleRNN(
        100,
        activation="relu",
        kernel_initializer=initializers.RandomNormal(stddev=0.001),
        recurrent_initializer=initializers.Identity(),
    )
    return _sequential(
        (784, 1),
        [recurrent, layers.Dense(10, "softmax")],
        optimizer=keras.optimizers.RMSprop(1e-6),
    )


def _sequential(
    shape: tuple[int, ...],
    *parts: list[Any],
    optimizer: Any,
    loss: Any = "categorical_crossentropy",
    dtype: str = "float32",
) -> Any:
    import keras

    layers = [layer for part in parts for layer in part]
    model = keras.Sequential([keras.Input(shape, dtype=dtype), *layers])
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model
