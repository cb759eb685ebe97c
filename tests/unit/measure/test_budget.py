"""The time limit: blocks are dropped, comparisons never."""

from fakes import FakeClock

from harness.measure.budget import Budget


def test_without_a_limit_every_block_is_measured():
    """However long a block takes."""
    budget = Budget(None, 3, FakeClock())
    budget.next_comparison()
    assert budget.blocks(6, block_seconds=1e9) == 6


def test_a_comparison_gets_its_share_of_what_is_left():
    """60 s among three comparisons: the first block took 5 s, three more fit in 20 s less it."""
    clock = FakeClock()
    budget = Budget(60.0, 3, clock)
    budget.next_comparison()
    clock.sleep(5.0)
    assert budget.blocks(6, block_seconds=5.0) == 4


def test_at_least_one_block_is_measured_when_time_is_up():
    """No case is dropped."""
    clock = FakeClock()
    budget = Budget(1.0, 2, clock)
    budget.next_comparison()
    clock.sleep(100.0)
    assert budget.blocks(6, block_seconds=5.0) == 1


def test_comparisons_of_a_group_share_their_blocks():
    """Four of eight get half of what is left: 50 s of 100 s, five blocks of ten."""
    budget = Budget(110.0, 8, clock := FakeClock())
    for _ in range(4):
        budget.next_comparison()
    clock.sleep(10.0)
    assert budget.blocks(6, block_seconds=10.0, comparisons=4) == 6
    assert budget.blocks(6, block_seconds=20.0, comparisons=4) == 3
