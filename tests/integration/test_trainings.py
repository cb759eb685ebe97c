"""Real workers that train in full, in turns."""

import dataclasses

import pytest
from fakes import installed

from harness.records import Case, Failure, Recipe, Training
from harness.worker import backends

pytestmark = pytest.mark.slow

BACKENDS = installed(*backends.NAMES)


def recipes(dataset, backend="tensorflow"):
    jit = backends.find(backend).jit_by_default
    case = Case("baseline+no_hidden_dense+adam", dataset, 64, backend=backend, jit=jit)
    other = dataclasses.replace(case, batch_size=128)
    return [Recipe(case, 3, case), Recipe(other, 2, case)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_trainings_learn_in_turns(make_runner, small_data, backend):
    """Each its own epochs; what is mislabelled is what they get wrong."""
    ends = make_runner().train(recipes(small_data, backend))
    assert [type(end) for end in ends] == [Training, Training], ends
    assert [len(end.epochs) for end in ends] == [3, 2]
    one = ends[0]
    assert one.epochs[-1].loss < one.epochs[0].loss
    assert all(epoch.seconds > 0 and epoch.validation_seconds > 0 for epoch in one.epochs)
    assert one.test_samples == 100
    assert one.epochs[-1].val_accuracy == pytest.approx(1 - len(one.mistakes) / 100)
    assert {98, 99} <= {mistake.sample for mistake in one.mistakes}
    wrong = next(m for m in one.mistakes if m.sample == 99)
    assert wrong.label != wrong.predicted
    assert 0.1 < wrong.confidence <= 1
    assert one.image_shape == (28, 28)


def test_equal_seeds_train_alike_and_others_do_not(make_runner, small_data):
    """Weights, dropout and the order of the data come from the seed."""
    runner = make_runner()
    case = Case("baseline+no_hidden_dense+adam", small_data, 64)
    other = dataclasses.replace(case, seed=1)
    recipes = [Recipe(case, 1, case), Recipe(case, 2, case), Recipe(other, 1, other)]
    losses = [training.epochs[0].loss for training in runner.train(recipes)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[2] != pytest.approx(losses[0], rel=1e-4)


def test_a_worker_that_dies_in_an_epoch_leaves_the_other_training(
    make_runner, small_data, tmp_path
):
    """It is a failure with its signal."""
    model = tmp_path / "dies.py"
    model.write_text(
        "import os, signal, keras\n"
        "def build():\n"
        "    class Dies(keras.Sequential):\n"
        "        def test_step(self, *data):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "    m = Dies([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])\n"
        "    m.compile('sgd', 'categorical_crossentropy')\n"
        "    return m\n"
    )
    good, _ = recipes(small_data)
    bad = Recipe(dataclasses.replace(good.case, variant=f"{model}:build"), 2, good.case)
    ends = make_runner().train([good, bad])
    assert isinstance(ends[0], Training)
    assert isinstance(ends[1], Failure)
    assert ends[1].kind == "killed"
    assert "SIGKILL" in ends[1].message
