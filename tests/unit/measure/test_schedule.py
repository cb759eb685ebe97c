"""Steps, pairs and the order of rounds."""

from fakes import protocol

from harness.measure import schedule
from harness.records import Case

CASE = Case("baseline", "mnist", 256)


def test_a_round_has_at_least_one_step():
    """Even when a step takes longer than a round."""
    assert schedule.plan_alone(2.0, CASE, protocol(gpu_round_seconds=0.25)).steps == 1


def test_a_block_has_a_fewest_number_of_pairs():
    """Even when they last longer than a block should."""
    step = {"case": 5.0, "reference": 5.0}
    few = protocol(block_seconds=8.0, min_pairs=3, max_pairs=24)
    assert schedule.plan_turns(step, {"case": CASE, "reference": CASE}, few).case.rounds == 3


def test_order_alternates_within_and_between_blocks():
    """AB BA, then BA AB."""
    first = [order[0] for _, order in schedule.turns(2, block=0)]
    second = [order[0] for _, order in schedule.turns(2, block=1)]
    assert (first, second) == (["reference", "case"], ["case", "reference"])
