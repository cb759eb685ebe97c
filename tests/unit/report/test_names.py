"""Names of comparisons."""

import pytest

from harness.records import Case
from harness.report.names import comparison

CASE = {"variant": "baseline", "dataset": "mnist", "batch_size": 256, "threads": 2}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "baseline at batch 256 against itself"),
        ({"batch_size": 64}, "baseline at batch 256 against batch 64"),
        ({"variant": "wide"}, "baseline at batch 256 against wide"),
        ({"variant": "wide", "batch_size": 64}, "baseline at batch 256 against wide at batch 64"),
        ({"device": "gpu"}, "baseline at batch 256 on the CPU against the GPU"),
        ({"threads": 1}, "baseline at batch 256 on 2 threads against 1"),
        ({"backend": "jax", "jit": True}, "baseline at batch 256 with tensorflow against jax"),
        ({"optimizer": "sgd"}, f"{Case(**CASE).id} against {Case(**CASE).id}-sgd"),
        ({"levers": ("feed=cached",)}, f"{Case(**CASE).id} against {Case(**CASE).id}-feed=cached"),
    ],
)
def test_a_comparison_is_named_by_what_differs(changes, name):
    """By ids where words do not reach."""
    assert comparison(Case(**CASE), Case(**{**CASE, **changes})) == name


def test_levers_are_named_where_the_reference_is_without():
    """Fields and others alike."""
    plain = Case(**CASE)
    case = Case(**{**CASE, "jit": True, "levers": ("malloc=keep",)})
    assert comparison(case, plain) == (
        "baseline at batch 256 with jit on + malloc=keep against without"
    )
    below = Case(**{**CASE, "levers": ("malloc=keep",)})
    assert comparison(case, below) == "baseline at batch 256 with jit on against without"
