"""The time limit: blocks and rounds are dropped, comparisons never."""

from fakes import FakeClock

from harness.measure.budget import Budget


def test_without_a_limit_every_block_is_measured():
    """However long a block takes."""
    budget = Budget(None, 3, FakeClock())
    budget.next_comparison()
    assert budget.blocks(6, 1e9, round_seconds=1e9) == (6, 1.0)


def test_a_comparison_gets_its_share_of_what_is_left():
    """60 s among three comparisons: the first block took 5 s, three more fit in 20 s less it."""
    clock = FakeClock()
    budget = Budget(60.0, 3, clock)
    budget.next_comparison()
    clock.sleep(5.0)
    assert budget.blocks(6, 5.0, round_seconds=2.0) == (4, 1.0)


def test_at_least_one_block_is_measured_when_time_is_up():
    """No case is dropped."""
    clock = FakeClock()
    budget = Budget(1.0, 2, clock)
    budget.next_comparison()
    clock.sleep(100.0)
    assert budget.blocks(6, 5.0, round_seconds=2.0) == (1, 1.0)


def test_comparisons_of_a_group_share_their_blocks():
    """Four of eight get half of what is left: 50 s of 100 s, five blocks of ten."""
    budget = Budget(110.0, 8, clock := FakeClock())
    for _ in range(4):
        budget.next_comparison()
    clock.sleep(10.0)
    assert budget.blocks(6, 10.0, 5.0, comparisons=4) == (6, 1.0)
    assert budget.blocks(6, 20.0, 5.0, comparisons=4) == (3, 1.0)


def test_rounds_become_fewer_before_fewer_than_three_blocks_are_left():
    """The first block took 20 s, 12 of them rounds; 28 s are left for two: half of the rounds."""
    budget = Budget(48.0, 1, clock := FakeClock())
    budget.next_comparison()
    clock.sleep(20.0)
    assert budget.blocks(3, 20.0, round_seconds=12.0) == (3, 0.5)


def test_a_block_is_dropped_where_too_few_rounds_would_be_left():
    """The starts alone take 16 s, and 28 s are left: 14 s per block."""
    budget = Budget(48.0, 1, clock := FakeClock())
    budget.next_comparison()
    clock.sleep(20.0)
    assert budget.blocks(3, 20.0, round_seconds=4.0) == (2, 1.0)
