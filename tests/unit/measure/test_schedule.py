"""Steps, rounds and the order of the turns."""

import itertools
from collections import Counter

import pytest
from fakes import protocol
from hypothesis import given
from hypothesis import strategies as st

from harness.measure import schedule
from harness.records import Case

CASE = Case("baseline", "synthetic", 256)
LONG = protocol(block_seconds=8.0, round_seconds=0.25, min_pairs=2, max_pairs=24)


def test_a_round_has_at_least_one_step():
    """Even when a step takes longer than a round."""
    assert schedule.plan_reference(2.0, CASE, LONG, by_fit=False).steps == 1


def test_the_reference_has_half_of_a_block():
    """Sixteen rounds of a quarter second are four seconds."""
    plan = schedule.plan_reference(0.01, CASE, LONG, by_fit=False)
    assert (plan.steps, plan.rounds) == (25, 16)


def test_a_block_has_a_fewest_number_of_rounds():
    """Even when they last longer than a block should."""
    assert schedule.plan_reference(10.0, CASE, LONG, by_fit=False).rounds == 2


def test_a_slow_case_takes_part_in_some_turns():
    """A step of one second: four rounds in sixteen turns."""
    plan = schedule.plan_case(1.0, CASE, 16, LONG, by_fit=False)
    assert (plan.steps, plan.rounds) == (1, 4)


def test_a_fast_case_has_longer_rounds_where_the_turns_are_few():
    """The reference is slow and has two turns: each of the case takes two seconds."""
    plan = schedule.plan_case(0.01, CASE, 2, LONG, by_fit=False)
    assert (plan.steps, plan.rounds) == (200, 2)


@given(st.integers(2, 16), st.integers(0, 40))
def test_the_reference_is_equally_often_at_each_position(workers, block):
    """Each turn begins one worker later than the turn before."""
    orders = schedule.turns([3 * workers] * workers, block, references=[0])
    assert set(Counter(order.index(0) for order in orders).values()) == {3}


@given(st.integers(3, 16), st.integers(0, 40), st.data())
def test_the_workers_of_the_reference_lie_half_a_turn_apart(workers, block, data):
    """As many workers between them on one side as on the other."""
    references = data.draw(st.permutations(range(workers)))[:2]
    for order in schedule.turns([20] * workers, block, references=references):
        first, second = sorted(order.index(worker) for worker in references)
        between = second - first - 1
        assert abs(between - (workers - 2 - between)) <= 1


def test_a_pair_alternates():
    """The case first, then the reference first."""
    orders = schedule.turns([4, 4], block=0, references=[0])
    assert list(orders) == [[0, 1], [1, 0], [0, 1], [1, 0]]


def test_a_case_runs_after_each_other_worker_and_at_each_position():
    """Over 480 turns each of 16 workers is 30 times after each other one, by chance 10 to 55."""
    orders = list(schedule.turns([480] * 16, block=0, references=[0, 8]))
    after = Counter(pair for order in orders for pair in itertools.pairwise(order))
    places = Counter((place, worker) for order in orders for place, worker in enumerate(order))
    assert len(places) == 16**2
    assert {pair for pair in itertools.permutations(range(16), 2) if 10 <= after[pair] <= 55} == (
        set(itertools.permutations(range(16), 2)) - {(0, 8), (8, 0)}
    )


def test_the_orders_of_a_block_are_the_same_in_every_run():
    """And differ from those of another block."""
    mine, again, other = (
        list(schedule.turns([9] * 9, block, references=[0, 4])) for block in (3, 3, 4)
    )
    assert mine == again != other


@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(0, 10))
def test_every_worker_has_as_many_rounds_as_planned(rounds, block):
    """Spread over the turns."""
    orders = list(schedule.turns(rounds, block))
    found = Counter(worker for order in orders for worker in order)
    assert [found[worker] for worker in range(len(rounds))] == rounds


@pytest.mark.parametrize(("own", "turns"), [(4, [3, 7, 11, 15]), (1, [15])])
def test_a_worker_with_fewer_rounds_has_them_at_equal_distances(own, turns):
    """Not all at the begin of the block."""
    orders = schedule.turns([16, own], block=0)
    assert [turn for turn, order in enumerate(orders) if 1 in order] == turns
