"""Which of the published changes made it faster? One at a time, in the two extreme orders."""

import pytest

from harness.workloads import ladder


@pytest.mark.ladder("as published", ladder.PUBLISHED)
@pytest.mark.ladder("the other way round", ladder.backwards(ladder.PUBLISHED))
def test_ladder(climb, rung, device):
    climb(rung, device=device)
