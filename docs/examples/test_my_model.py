"""A user's suite: how much faster is my model than the bundled one, or with another optimizer?"""

import os
from pathlib import Path

import pytest

MODEL = f"{os.path.relpath(Path(__file__).with_name('my_model.py'))}:small"


@pytest.mark.matrix(batch_sizes=[64, 256])
def test_against_the_baseline(train, batch_size):
    train(MODEL, batch_size=batch_size, reference={"variant": "baseline"})


def test_another_optimizer(train):
    measurement = train(MODEL, batch_size=64, optimizer="sgd", reference={"optimizer": None})
    assert measurement.facts.optimizer == "SGD"
