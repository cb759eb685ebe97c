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
def test_every_worker_is_equally_often_at_each_position_and_after_each_other(workers, block):
    """A Williams design is balanced over as many turns as workers, or twice as many."""
    turns = workers if workers % 2 == 0 else 2 * workers
    orders = list(schedule.turns([turns] * workers, block))
    places = Counter((place, worker) for order in orders for place, worker in enumerate(order))
    followers = Counter(pair for order in orders for pair in itertools.pairwise(order))
    assert set(places.values()) == {turns // workers}
    assert len(places) == workers**2
    assert set(followers.values()) == {turns // workers}
    assert len(followers) == workers * (workers - 1)


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
