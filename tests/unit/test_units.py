"""Numbers as people read them."""

import pytest

from harness import units
from harness.analyze.verdicts import MARGIN


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.000412, "412 µs"),
        (1.5, "1.50 s"),
        (59.9, "59.9 s"),
        (61, "1 min 01 s"),
        (7199, "119 min 59 s"),
        (7200, "2 h 00 min"),
        (119_000, "33 h 03 min"),
        (2.5e-9, "2.50 ns"),
    ],
)
def test_seconds(value, text):
    """The unit follows the size."""
    assert text == units.seconds(value)


def test_a_ratio_never_stands_alone():
    """Value and interval, two decimals."""
    assert units.ratio_interval(1.3712, 1.334, 1.409) == "1.37× [1.33, 1.41]"
    assert units.ratio_interval(1.3712, None, None) == "1.37×"


def test_an_end_tells_on_which_side_of_a_margin_it_lies():
    """By a third decimal, where two do not."""
    assert units.ratio_interval(1.02, 1.0012, 1.04) == "1.02× [1.001, 1.04]"
    assert units.ratio_interval(0.99, 0.9789, 0.9996) == "0.99× [0.979, 1.00]"
    assert units.ratio_interval(1.05, 1.0214, 1.08) == "1.05× [1.021, 1.08]"
    for turn in (1 / (1 + MARGIN), 1.0, 1 + MARGIN):
        text = units.ratio_interval(turn, turn - 0.001, turn + 0.001)
        ends = text.partition("[")[2].rstrip("]").split(", ")
        assert [len(end.partition(".")[2]) for end in ends] == [3, 3]


def test_digits_are_significant_ones():
    """Not decimals."""
    assert [units.digits(v) for v in (0.01234, 1.234, 123.4, 12340)] == [
        "0.0123",
        "1.23",
        "123",
        "12340",
    ]


def test_what_would_control_a_terminal_is_written_as_escapes():
    """Colors, line ends, marks of direction; other languages stay."""
    assert units.printable("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb\\nc\\u202ed"
    assert units.printable("modèle 模型 1.2× – µs") == "modèle 模型 1.2× – µs"
