"""Predict which customers leave.

Written as scripts for tables are: pandas, a split, numbers and a category as two inputs, class
weights, options read at the top, and a seed and threads set by hand.
"""

import argparse
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.model_selection import train_test_split
from tensorflow import keras
from tensorflow.keras import layers

parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int, default=3000)
parser.add_argument("--epochs", type=int, default=100)
args = parser.parse_args()

np.random.seed(1234)
tf.random.set_seed(1234)
tf.config.threading.set_intra_op_parallelism_threads(1)

frame = pd.DataFrame(
    {
        "age": np.random.randint(18, 90, args.rows),
        "balance": np.random.normal(1000, 300, args.rows),
        "active": np.random.rand(args.rows) > 0.5,
        "region": np.random.choice(["north", "south", "west"], args.rows),
    }
)
frame["left"] = ((frame["age"] > 60) & frame["active"]).astype(int)
codes = frame["region"].astype("category").cat.codes
numbers = frame[["age", "balance", "active"]].astype("float64")
numbers = (numbers - numbers.mean()) / numbers.std()
split = train_test_split(numbers, codes, frame["left"], test_size=0.25, random_state=0)
n_train, n_test, c_train, c_test, y_train, y_test = split


def make_model(width=32):
    numeric = keras.Input((3,), name="numbers")
    region = keras.Input((1,), name="region", dtype="int32")
    embedded = layers.Flatten()(layers.Embedding(3, 2)(region))
    x = layers.Concatenate()([numeric, embedded])
    x = layers.BatchNormalization()(layers.Dense(width, activation="relu")(x))
    output = layers.Dense(1, activation="sigmoid", name="left")(x)
    return keras.Model(inputs={"numbers": numeric, "region": region}, outputs=output)


model = make_model()
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=1e-3),
    loss=keras.losses.BinaryCrossentropy(),
    metrics=[keras.metrics.AUC(name="auc")],
)
counts = np.bincount(y_train)
history = model.fit(
    {"numbers": n_train, "region": c_train},
    y_train,
    validation_data=({"numbers": n_test, "region": c_test}, y_test),
    class_weight={0: 1.0, 1: counts[0] / max(counts[1], 1)},
    batch_size=64,
    epochs=args.epochs,
    callbacks=[keras.callbacks.ReduceLROnPlateau(patience=3)],
    verbose=0,
)
print(pd.DataFrame(history.history).tail())

if __name__ == "__main__":
    predicted = model.predict({"numbers": n_test, "region": c_test})
    print("share of leavers:", (predicted > 0.5).mean())
