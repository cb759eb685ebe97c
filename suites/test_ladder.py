"""Which of the published changes made it faster? One at a time, in the two extreme orders."""

import pytest


@pytest.mark.ladder(
    "as published", "baseline@256,+wide_kernel,+no_hidden_dense,+less_dropout,+adam,@1024"
)
@pytest.mark.ladder(
    "the other way round", "baseline@256,@1024,+adam,+less_dropout,+no_hidden_dense,+wide_kernel"
)
def test_ladder(climb, rung, device):
    climb(rung, device=device)
