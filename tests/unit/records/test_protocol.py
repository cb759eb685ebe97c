"""The protocols of the efforts, and the confidence of intervals after looks."""

import pytest

from harness.records import protocol as protocols
from harness.records.protocol import EFFORTS


def test_few_comparisons_have_looks_at_default_effort_alone():
    """Quick effort shows no verdicts, and thorough effort measures all blocks."""
    few = protocols.of_few(EFFORTS["default"])
    assert few.looks
    assert few.looks[-1] < few.blocks
    assert protocols.of_few(few) == few
    for effort in ("quick", "thorough"):
        assert protocols.of_few(EFFORTS[effort]) == EFFORTS[effort]


def test_the_misses_of_all_looks_add_up_to_five_percent():
    """So that the intervals of all looks hold the truth in 95 % of runs, whichever is the last."""
    few = protocols.of_few(EFFORTS["default"])
    misses = [1 - protocols.confidence(few, blocks) for blocks in (*few.looks, few.blocks)]
    assert sum(misses) == pytest.approx(0.05)
    assert protocols.confidence(EFFORTS["default"], 4) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        (EFFORTS["quick"], "1 block"),
        (EFFORTS["default"], "3 blocks"),
        (protocols.of_few(EFFORTS["default"]), "3 to 6 blocks"),
    ],
)
def test_the_number_of_blocks_is_said(protocol, text):
    """With the first look, where there is one."""
    assert protocols.blocks(protocol) == text
