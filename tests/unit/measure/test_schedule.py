"""Steps, pairs and the order of rounds."""

from harness.measure import schedule


def test_a_round_has_at_least_one_step():
    """Even when a step takes longer than a round."""
    assert schedule.choose_steps(step_seconds=2.0, round_seconds=0.25) == 1


def test_a_block_has_a_fewest_number_of_pairs():
    """Even when they last longer than a block should."""
    assert schedule.choose_pairs(10.0, 8.0, fewest=3, most=24) == 3


def test_order_alternates_within_and_between_blocks():
    """AB BA, then BA AB."""
    first = [order[0] for _, order in schedule.turns(2, block=0)]
    second = [order[0] for _, order in schedule.turns(2, block=1)]
    assert (first, second) == (["reference", "case"], ["case", "reference"])
