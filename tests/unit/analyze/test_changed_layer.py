"""The change of a step with one layer left out or wider, foretold by a profile made by hand."""

import pytest

from harness.analyze.explain import changed_layer
from harness.records import Case, LayerFacts, ModelFacts, Profile, Spent, Traced


def layer(path, parameters=0, taken=100, given=100):
    return LayerFacts(
        path, "Any", 1.0, parameters, 4 * parameters, parameters > 0, None, None, taken, given
    )


FACTS = ModelFacts(1000, None, "", "Adam", 10, "cpu", "", 1.0, True)
LAYERS = (
    layer("first", 300, 100, 800),
    layer("pool", 0, 800, 200),
    layer("flat", 0, 200, 0),
    layer("second", 700, 200, 40),
)
SPENT = (
    ("0", "Conv2D", 0.10),
    ("0", "Relu", 0.10),
    ("1", "MaxPool", 0.05),
    ("2", "Reshape", 0.01),
    ("3", "_FusedMatMul", 0.20),
    ("3", "Softmax", 0.04),
    ("optimizer", "Mul", 0.10),
)


def profile(layers=LAYERS, workers=3):
    spent = tuple(Spent(row, False, name, share, 1.0) for row, name, share in SPENT)
    traced = Traced(2.0, 1.0, 20, spent)  # shares are those of the traced step
    return Profile(Case("m", "d", 8), FACTS, layers, (traced,) * workers, None, None, "", 1.0)


def test_a_layer_that_is_left_out_takes_its_time_with_it():
    """And its part of the optimizer's; what is behind keeps its size."""
    same = (layer("first", 300, 800, 800), *LAYERS[1:])
    assert changed_layer.left_out(profile(same), "first") == pytest.approx([-0.23] * 3)


def test_what_is_behind_a_pooling_grows_without_it():
    """Four times the input: the view, the products and the weights of the next layer."""
    behind = 0.01 + 0.20 + 0.07
    assert changed_layer.left_out(profile(), "pool") == pytest.approx([3 * behind - 0.05] * 3)


def test_a_view_has_the_size_of_its_input():
    """It is left out like any other layer that changes no size."""
    assert changed_layer.left_out(profile(), "flat") == pytest.approx([-0.01] * 3)


def test_a_layer_twice_as_wide_doubles_what_is_behind_up_to_the_next_products():
    """Not the softmax of the next layer, whose output keeps its size."""
    added = 0.10 + 0.10 + 0.03 + 0.05 + 0.01 + 0.20 + 0.07
    assert changed_layer.widened(profile(), "first", 2) == pytest.approx([added] * 3)
    assert changed_layer.widened(profile(), "first", 3) == pytest.approx([2 * added] * 3)


@pytest.mark.parametrize(
    "operation", ["Conv2DBackpropInput", "convolution_backward", "addmm", "dot"]
)
def test_products_of_every_framework_count(operation):
    """By their names."""
    assert changed_layer._PRODUCT.search(operation)


@pytest.mark.parametrize("operation", ["ReluGrad", "BiasAddGrad", "Softmax", "comma", "mmap_x"])
def test_other_operations_do_not(operation):
    """Though their names hold the same letters."""
    assert not changed_layer._PRODUCT.search(operation)


def test_a_layer_of_unknown_size_is_refused():
    """Nothing can be said of it."""
    unknown = (layer("first", 0, None, None), *LAYERS[1:])
    with pytest.raises(ValueError, match="sizes of first are unknown"):
        changed_layer.left_out(profile(unknown), "first")


def test_a_layer_three_times_in_a_row_adds_its_time_twice():
    """And nothing behind it."""
    assert changed_layer.repeated(profile(), "pool", 3) == pytest.approx([0.10] * 3)
