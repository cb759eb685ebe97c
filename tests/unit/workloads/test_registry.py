"""Variants by name: bundled, from a file, from a module."""

import pytest

from harness.errors import UnknownName
from harness.workloads import registry


def test_the_bundled_variants_are_there():
    """In the order in which the published report tells of them."""
    assert registry.names()[:2] == ["baseline", "improved"]


def test_a_file_names_a_function(tmp_path):
    """And may import its neighbours."""
    (tmp_path / "neighbour.py").write_text("VALUE = 7\n")
    file = tmp_path / "mine.py"
    file.write_text("from neighbour import VALUE\n\ndef build():\n    return VALUE\n")
    assert registry.find(f"{file}:build")() == 7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("basline", "did you mean baseline"),
        ("transformer", "known: baseline, improved"),
        ("no/such.py:build", "there is no file"),
        ("x.py:", "name of a function"),
    ],
)
def test_a_name_that_resolves_to_nothing_is_explained(name, message):
    """Without importing anything."""
    with pytest.raises(UnknownName, match=message):
        registry.check(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import keras\nroot = str()\nmodel = keras.Model()\n", "mine.py:model$"),
        ("def helper(): pass\ndef make_net(): pass\n", "mine.py:make_net$"),
        ("def first(): pass\nx = 1\n", "mine.py:first$"),
        ("x = (", "mine.py:build$"),
        (None, "there is no file"),
    ],
)
def test_a_file_alone_is_answered_with_what_it_holds(tmp_path, text, message):
    """Names that sound like a model come first."""
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UnknownName, match=message):
        registry.check(str(file))


def test_a_file_without_the_function_is_explained(tmp_path):
    """Known only once it is imported, in the worker."""
    file = tmp_path / "mine.py"
    file.write_text("")
    with pytest.raises(UnknownName, match="no function 'build'"):
        registry.find(f"{file}:build")


def test_what_is_no_function_builds_no_model(tmp_path):
    """It may be the model itself."""
    file = tmp_path / "ready_model.py"
    file.write_text("model = 7\n")
    with pytest.raises(UnknownName, match="is int, not a function that builds a model"):
        registry.find(f"{file}:model")


def test_variants_have_the_schedule_of_what_they_are_made_of():
    """15 epochs at 256, or 10 at 1024; a user's own has none."""
    assert registry.schedule("baseline+adam").epochs == 15
    assert registry.schedule("no_dropout").batch_size == 256
    assert registry.schedule("single_dropout").batch_size == 1024
    assert registry.schedule("mine.py:build") is None


def test_a_path_with_a_plus_is_a_path():
    """And no change of the baseline."""
    with pytest.raises(UnknownName, match="there is no file"):
        registry.check("baseline+x/mine.py:build")
