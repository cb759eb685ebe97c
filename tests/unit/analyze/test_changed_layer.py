"""The change of a step with copies of one layer, foretold by a profile made by hand."""

import pytest

from harness.analyze.explain import changed_layer
from harness.records import Case, LayerFacts, ModelFacts, Profile, Spent, Traced

FACTS = ModelFacts(1000, None, "", "Adam", 10, "cpu", "", 1.0, parameters_moved=True)
SPENT = (
    ("0", False, "Conv2D", 0.20),
    ("0", True, "Conv2DBackpropFilter", 0.40),
    ("1", False, "Mul", 0.06),
    ("optimizer", False, "Mul", 0.20),
)


def profile():
    def layer(path, parameters):
        return LayerFacts(
            path, "Any", 1.0, parameters, 4 * parameters, parameters > 0, None, None, 100, 100
        )

    spent = tuple(Spent(*its, 1.0) for its in SPENT)
    traced = Traced(2.0, 1.0, 20, spent)  # shares are those of the traced step
    layers = (layer("first", 250), layer("second", 0))
    return Profile(Case("m", "d", 8), FACTS, layers, (traced,) * 3, None, None, "", 1.0)


def test_each_copy_takes_the_time_of_the_layer_and_of_its_updates():
    """A quarter of the parameters takes a quarter of the optimizer's time."""
    added = 0.20 + 0.40 + 0.25 * 0.20
    assert changed_layer.copied(profile(), "first", 2) == pytest.approx([added] * 3)
    assert changed_layer.copied(profile(), "first", 4) == pytest.approx([3 * added] * 3)


def test_a_layer_without_weights_has_no_updates():
    """Only its own time counts."""
    assert changed_layer.copied(profile(), "second", 16) == pytest.approx([15 * 0.06] * 3)


def test_a_layer_that_there_is_not_is_refused():
    """By its path."""
    with pytest.raises(ValueError, match="third"):
        changed_layer.copied(profile(), "third", 2)
