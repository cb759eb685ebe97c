"""What a finished model gets wrong, from what it predicts."""

import base64
import zlib

import numpy as np
import pytest

from harness.worker import training


class Model:
    """Predicts what it is given."""

    def __init__(self, scores):
        self._scores = np.asarray(scores)

    def predict(self, x, batch_size, verbose):
        return self._scores


ONE_HOT = np.eye(3, dtype=np.float32)[[0, 1, 2]]
IMAGES = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 2, 2, 1)


def test_a_mistake_has_label_prediction_confidence_and_pixels():
    """Of the sample that is wrong, and of no other."""
    scores = [[0.7, 0.2, 0.1], [0.9, 0.06, 0.04], [0.1, 0.1, 0.8]]
    (found,) = training.mistakes(Model(scores), IMAGES, ONE_HOT)
    assert (found.sample, found.label, found.predicted) == (1, 1, 0)
    assert found.confidence == pytest.approx(0.9)
    pixels = np.frombuffer(zlib.decompress(base64.b64decode(found.pixels)), np.uint8)
    assert pixels.tolist() == np.rint(255 * IMAGES[1].ravel()).tolist()


def test_logits_become_probabilities():
    """By a softmax."""
    scores = [[9.0, 0, 0], [2.0, 0, 0], [0, 0, 9.0]]
    (found,) = training.mistakes(Model(scores), IMAGES, ONE_HOT)
    assert found.confidence == pytest.approx(np.exp(2) / (np.exp(2) + 2), abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "targets"),
    [
        (np.zeros((3, 1)), np.ones((3, 1))),  # one number: no classes
        (np.zeros((3, 3)), np.full((3, 3), 0.3)),  # a regression
        (np.zeros((3, 2)), ONE_HOT),  # another shape
        (np.zeros((3, 2, 3)), ONE_HOT),
    ],
)
def test_what_is_no_classifier_has_no_mistakes_to_list(scores, targets):
    """None, and not nothing."""
    assert training.mistakes(Model(scores), IMAGES, targets) is None


def test_without_test_samples_there_is_nothing_to_list():
    """None, too."""
    assert training.mistakes(Model([]), IMAGES[:0], ONE_HOT[:0]) is None
