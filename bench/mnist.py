"""LeNet on the whole of MNIST: `python -m bench.mnist FOLDER`, the folder of its four IDX files.

Prints training time, images/s and the accuracy on the 10,000 test images.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import keras
from keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from rich.console import Console
from sklearn.preprocessing import MinMaxScaler

from contract.data import datasets
from keras2dml import Keras2DML, spark_session

EPOCHS, BATCH = 5, 100


def main(folder: Path) -> dict[str, float]:
    """Train on the 60,000 images, score the 10,000, and return the figures."""
    train, test = (datasets.read(str(folder), split) for split in ("train", "test"))
    scaler = MinMaxScaler().fit(train.images.reshape(len(train.images), -1))
    X_train, X_test = (
        scaler.transform(part.images.reshape(len(part.images), -1)) for part in (train, test)
    )
    iterations = EPOCHS * -(-len(X_train) // BATCH)
    with tempfile.TemporaryDirectory() as weights:
        model = Keras2DML(
            spark_session(),
            lenet(),
            input_shape=(1, 28, 28),
            weights=Path(weights, "weights"),
            batch_size=BATCH,
            max_iter=iterations,
            test_interval=0,
            display=100,
        )
        start = time.monotonic()
        model.fit(X_train, train.labels)
        seconds = time.monotonic() - start
    start = time.monotonic()
    accuracy = model.score(X_test, test.labels)
    return {
        "accuracy": accuracy,
        "train_seconds": round(seconds, 1),
        "train_images_per_s": round(EPOCHS * len(X_train) / seconds, 1),
        "predict_images_per_s": round(len(X_test) / (time.monotonic() - start), 1),
    }


def lenet() -> keras.Model:
    """The model of SystemML's tutorial."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            Conv2D(32, 5, padding="same", activation="relu"),
            MaxPooling2D(),
            Conv2D(64, 5, padding="same", activation="relu"),
            MaxPooling2D(),
            Flatten(),
            Dense(512, activation="relu"),
            Dropout(0.5),
            Dense(10, activation="softmax"),
        ]
    )


if __name__ == "__main__":
    Console().print_json(json.dumps(main(Path(sys.argv[1]))))
