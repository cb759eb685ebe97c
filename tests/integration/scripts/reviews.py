"""Tell good reviews from bad ones.

Written as tutorials on text classification are: raw strings, a TextVectorization that learns the
vocabulary, a model that ends at logits, and a second model for strings afterwards.
"""

import random
import re

import keras
import tensorflow as tf
from keras import layers

MAX_WORDS, LENGTH, EMBEDDING = 2000, 60, 32
GOOD, BAD = ["great", "superb", "lovely", "moving"], ["dull", "awful", "boring", "weak"]

random.seed(0)
texts, labels = [], []
for _ in range(400):
    label = random.randint(0, 1)
    words = random.choices(GOOD if label else BAD, k=5) + random.choices(
        ["a", "the", "film", "plot"], k=20
    )
    random.shuffle(words)
    texts.append(" ".join(words) + "<br />")
    labels.append(label)


def clean(text):
    text = tf.strings.lower(text)
    text = tf.strings.regex_replace(text, "<br />", " ")
    return tf.strings.regex_replace(text, f"[{re.escape('.,!')}]", "")


vectorize = layers.TextVectorization(
    standardize=clean, max_tokens=MAX_WORDS, output_sequence_length=LENGTH
)
raw = tf.data.Dataset.from_tensor_slices((texts, labels)).shuffle(400, seed=1).batch(32)
vectorize.adapt(raw.map(lambda text, label: text))
train = raw.map(lambda text, label: (vectorize(text), label)).cache().prefetch(tf.data.AUTOTUNE)

model = keras.Sequential(
    [
        layers.Embedding(MAX_WORDS, EMBEDDING),
        layers.Bidirectional(layers.LSTM(16)),
        layers.Dropout(0.3),
        layers.Dense(1),
    ]
)
model.compile(
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    optimizer="adam",
    metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)],
)
model.fit(train, epochs=10, verbose=2)

export = keras.Sequential([vectorize, model, layers.Activation("sigmoid")])
export.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
print(export.evaluate(raw))
