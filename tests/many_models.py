"""Models and data that are drawn at random, each by a number: `model_7`, `data_7`.

Networks of layers, nested inputs, dtypes, and the forms that data has. Keras trains each of them.
"""

import random

import keras
import numpy as np
from keras import layers

SAMPLES, BATCH = 24, 8
GRAPHS = range(30)
NESTED = range(30, 42)
DTYPES = range(42, 50)
FORMS = range(50, 64)
ALL = range(64)
_SHAPES = [(6,), (10,), (8, 8, 1), (9, 7, 3), (5, 4), (12, 2), (4, 6, 6, 1)]
_ACTIVATIONS = ["relu", "tanh", "gelu", "silu", "elu", None]
_OPTIMIZERS = ["sgd", "adam", "rmsprop", "adamw", "lion", "nadam", "adagrad"]


def __getattr__(name):
    kind, _, number = name.partition("_")
    if kind not in ("model", "data") or not number.isdecimal():
        raise AttributeError(name)
    return (lambda: _model(int(number))) if kind == "model" else (lambda: _data(int(number)))


def _draw(number):
    return random.Random(number)


def _model(number):
    if number in GRAPHS:
        return _graph(number)
    if number in NESTED:
        return _nested_model(number)
    if number in DTYPES:
        return _typed_model(number)
    return _network((6,), "mse", 1)


def _data(number):
    if number in GRAPHS:
        return _graph_data(number)
    if number in NESTED:
        return _nested_data(number)
    if number in DTYPES:
        return _typed_data(number)
    return _FORM[number - FORMS.start]()


def _network(shape, loss, units, optimizer="adam"):
    model = keras.Sequential([keras.Input(shape), layers.Dense(5, "relu"), layers.Dense(units)])
    model.compile(optimizer, loss)
    return model


# --- networks of layers


def _plan(number):
    """The shape of a sample, the loss, and the classes of a network."""
    draw = _draw(number)
    shape = _SHAPES[number % len(_SHAPES)]
    return draw, shape, draw.choice(["sparse", "categorical", "binary", "mse", "huber"])


def _graph(number):
    draw, shape, kind = _plan(number)
    x = inputs = keras.Input(shape)
    for _ in range(draw.randint(1, 4)):
        x = _layer(draw, x)
        if draw.random() < 0.3:
            x = _joined(draw, x)
    x = x if len(x.shape) == 2 else layers.Flatten()(x)
    if draw.random() < 0.3:
        x = layers.Dropout(0.2)(x)
    units, activation, loss = {
        "sparse": (4, "softmax", "sparse_categorical_crossentropy"),
        "categorical": (4, "softmax", "categorical_crossentropy"),
        "binary": (1, "sigmoid", "binary_crossentropy"),
        "mse": (2, None, "mse"),
        "huber": (3, None, keras.losses.Huber()),
    }[kind]
    model = keras.Model(inputs, layers.Dense(units, activation)(x))
    model.compile(draw.choice(_OPTIMIZERS), loss, metrics=draw.choice([None, ["mae"]]))
    return model


def _layer(draw, x):
    """A layer that takes the rank of a tensor."""
    act, width = draw.choice(_ACTIVATIONS), draw.randint(2, 6)
    of_any = [
        lambda: layers.Dense(width, act)(x),
        lambda: layers.LayerNormalization()(x),
        lambda: layers.BatchNormalization()(x),
        lambda: layers.GaussianNoise(0.1)(x),
        lambda: layers.Activation("softplus")(x),
        lambda: layers.Rescaling(0.5)(x),
    ]
    of_rank = {
        2: [lambda: layers.Dense(width, act, kernel_regularizer="l2")(x)],
        3: [
            lambda: layers.LSTM(width, return_sequences=True)(x),
            lambda: layers.GRU(width, return_sequences=True)(x),
            lambda: layers.SimpleRNN(width)(x),
            lambda: layers.Bidirectional(layers.GRU(width, return_sequences=True))(x),
            lambda: layers.Conv1D(width, 3, padding="causal", activation=act)(x),
            lambda: layers.SeparableConv1D(width, 2, padding="same")(x),
            lambda: layers.MultiHeadAttention(2, 3)(x, x),
            lambda: layers.GlobalMaxPooling1D()(x),
            lambda: layers.TimeDistributed(layers.Dense(width))(x),
            lambda: layers.EinsumDense("abc,cd->abd", (x.shape[1], width))(x),
        ],
        4: [
            lambda: layers.Conv2D(width, 3, padding="same", activation=act)(x),
            lambda: layers.DepthwiseConv2D(2, padding="same")(x),
            lambda: layers.SeparableConv2D(width, 2, padding="same")(x),
            lambda: layers.Conv2DTranspose(width, 2, strides=2)(x),
            lambda: layers.MaxPooling2D(2, padding="same")(x),
            lambda: layers.UpSampling2D(2)(x),
            lambda: layers.ZeroPadding2D(1)(x),
            lambda: layers.SpatialDropout2D(0.2)(x),
            lambda: layers.GlobalAveragePooling2D()(x),
        ],
        5: [
            lambda: layers.Conv3D(width, 2, padding="same")(x),
            lambda: layers.AveragePooling3D(2, padding="same")(x),
            lambda: layers.TimeDistributed(layers.Conv2D(width, 2))(x),
            lambda: layers.ConvLSTM2D(width, 2)(x),
        ],
    }
    rank = len(x.shape)
    return draw.choice(of_any + 2 * of_rank[rank] if rank > 2 else of_any + of_rank[2])()


def _joined(draw, x):
    """Two ways that meet."""
    twice = layers.Dense(x.shape[-1])(x)
    return draw.choice([layers.Add, layers.Concatenate, layers.Multiply, layers.Maximum])()(
        [x, twice]
    )


def _graph_data(number):
    _, shape, kind = _plan(number)
    rng = np.random.default_rng(number)
    x = rng.random((SAMPLES, *shape), dtype="float32")
    classes = rng.integers(0, 4, SAMPLES)
    y = {
        "sparse": classes if number % 2 else classes[:, None],
        "categorical": np.eye(4)[classes],
        "binary": (classes > 1).astype("float32" if number % 2 else "int64"),
        "mse": rng.random((SAMPLES, 2)),
        "huber": rng.random((SAMPLES, 3), dtype="float32"),
    }[kind]
    return x, y


# --- nested inputs and outputs


def _leaf(draw, make):
    return make((draw.randint(1, 4),))


def _structure(number, make):
    """The same nesting for symbols and for arrays."""
    draw = _draw(number)

    def leaf():
        return _leaf(draw, make)

    return [
        lambda: {"a": leaf(), "b": leaf()},
        lambda: [leaf(), leaf(), leaf()],
        lambda: {"one": {"a": leaf(), "b": leaf()}, "two": leaf()},
        lambda: {"z": leaf(), "a": leaf(), "m": leaf()},
        lambda: {"images": {"left": leaf(), "right": leaf()}, "text": {"words": leaf()}},
        lambda: [leaf()],
    ][number % 6]()


def _nested_model(number):
    inputs = _structure(number, keras.Input)
    parts = keras.tree.flatten(inputs)
    x = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    x = layers.Dense(4, "relu")(x)
    if number < NESTED.start + 6:
        model = keras.Model(inputs, layers.Dense(1)(x))
        model.compile("adam", "mse")
        return model
    named = {"price": layers.Dense(1)(x), "kind": layers.Dense(3, "softmax")(x)}
    outputs = named if number % 2 else list(named.values())
    losses = {"price": "mse", "kind": "sparse_categorical_crossentropy"}
    model = keras.Model(inputs, outputs)
    model.compile("adam", losses if number % 2 else list(losses.values()))
    return model


def _nested_data(number):
    rng = np.random.default_rng(number)
    x = _structure(number, lambda shape: rng.random((SAMPLES, *shape), dtype="float32"))
    price, kind = rng.random(SAMPLES), rng.integers(0, 3, SAMPLES)
    if number < NESTED.start + 6:
        return x, price
    return x, {"price": price, "kind": kind} if number % 2 else [price, kind]


# --- dtypes

_TYPES = ["uint8", "int8", "int64", "bool", "float16", "float64", "int32", "uint16"]


def _typed_model(number):
    name = _TYPES[number - DTYPES.start]
    if name in ("int32", "int64"):
        words = keras.Input((5,), dtype=name)
        model = keras.Model(words, layers.Dense(1)(layers.Flatten()(layers.Embedding(9, 3)(words))))
    else:
        inputs = keras.Input((5,), dtype=name)
        x = layers.Lambda(lambda t: keras.ops.cast(t, "float32"))(inputs)
        model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile("sgd", "mse")
    return model


def _typed_data(number):
    rng = np.random.default_rng(number)
    x = rng.integers(0, 2, (SAMPLES, 5)).astype(_TYPES[number - DTYPES.start])
    return x, rng.random(SAMPLES)


# --- forms of data


def _arrays(count=SAMPLES):
    rng = np.random.default_rng(0)
    return rng.random((count, 6), dtype="float32"), rng.random(count, dtype="float32")


def _tf_data(*arrays):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(arrays or _arrays())


def _frame():
    import pandas as pd

    x, y = _arrays()
    frame = pd.DataFrame(x, columns=list("abcdef")).sample(frac=1.0, random_state=0)
    return frame, pd.Series(y, index=frame.index)


def _sparse():
    import scipy.sparse

    x, y = _arrays()
    return scipy.sparse.csr_matrix(np.where(x > 0.5, x, 0.0)), y


class _Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return _arrays(BATCH)


def _generator():
    while True:
        yield _arrays(BATCH)


def _finite():
    for size in (BATCH, BATCH, 5):
        yield _arrays(size)


def _loader():
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(*map(torch.from_numpy, _arrays())), batch_size=BATCH)


_FORM = [
    _arrays,
    lambda: tuple(array.tolist() for array in _arrays()),
    lambda: (*_arrays(), np.linspace(0.0, 1.0, SAMPLES)),
    lambda: (_arrays()[0], _arrays()[1][:, None]),
    _frame,
    _sparse,
    lambda: _tf_data().batch(BATCH),
    lambda: _tf_data().batch(BATCH, drop_remainder=True).repeat(),
    lambda: _tf_data().shuffle(SAMPLES).batch(5).prefetch(1),
    lambda: _tf_data(*_arrays(), np.ones(SAMPLES, "float32")).batch(BATCH),
    _Batches,
    _generator,
    _finite,
    _loader,
]
