"""What does speed cost in accuracy? Full trainings: `pytest suites/ -m convergence`."""

import pytest

pytestmark = pytest.mark.convergence


@pytest.mark.matrix(variants=["baseline", "improved", "single_dropout", "no_dropout"])
def test_convergence(converge, seed, device):
    converge(seed=seed, device=device, references={"single_dropout": "improved"})
