"""Train a small classifier on folders of photographs.

Written as tutorials on image classification are: folders of JPEG files, a tf.data pipeline with
augmentation, transfer from a network without weights here, callbacks, and a saved model.
"""

import os
import tempfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers

AUTOTUNE = tf.data.AUTOTUNE
BATCH_SIZE = 16
IMAGE = (64, 64)
CLASSES = ["daisy", "rose", "tulip"]

tf.random.set_seed(42)
for gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(gpu, True)

# The photographs would be downloaded; here they are made.
root = tempfile.mkdtemp()
rng = np.random.default_rng(0)
for name in CLASSES:
    os.makedirs(os.path.join(root, name))
    for number in range(40):
        pixels = rng.integers(0, 255, (80, 90, 3)).astype("uint8")
        keras.utils.save_img(os.path.join(root, name, f"{number}.jpg"), pixels)

train_ds, val_ds = keras.utils.image_dataset_from_directory(
    root, validation_split=0.2, subset="both", seed=1, image_size=IMAGE, batch_size=BATCH_SIZE
)
print("classes:", train_ds.class_names)

augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])
train_ds = train_ds.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=AUTOTUNE)
train_ds, val_ds = train_ds.prefetch(AUTOTUNE), val_ds.cache().prefetch(AUTOTUNE)

base = keras.applications.MobileNetV2(
    input_shape=(*IMAGE, 3), include_top=False, weights=None, alpha=0.35
)
base.trainable = False
inputs = keras.Input((*IMAGE, 3))
x = keras.applications.mobilenet_v2.preprocess_input(inputs)
x = layers.GlobalAveragePooling2D()(base(x, training=False))
outputs = layers.Dense(len(CLASSES), activation="softmax")(layers.Dropout(0.2)(x))
model = keras.Model(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.summary()

history = model.fit(
    train_ds,
    validation_data=val_ds,
    epochs=50,
    callbacks=[
        keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint("flowers_best.keras", save_best_only=True),
        keras.callbacks.CSVLogger("flowers.csv"),
    ],
)
print("best accuracy:", max(history.history["val_accuracy"]))
model.save("flowers.keras")
