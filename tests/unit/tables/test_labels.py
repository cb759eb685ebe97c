"""How cases are named where several stand side by side."""

import dataclasses

import pytest

from harness.records import Case
from harness.tables import labels

PLAIN = Case("baseline", "mnist", 256, threads=2)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"batch_size": 64}, ("baseline 256", "baseline 64")),
        ({"device": "gpu"}, ("baseline 256 (CPU)", "baseline 256 (GPU)")),
        ({"jit": True}, ("baseline 256", "baseline 256 (jit)")),
        ({"precision": "mixed_bfloat16"}, ("baseline 256", "baseline 256 (mixed_bfloat16)")),
        (
            {"backend": "jax", "jit": True, "levers": ("feed=cached", "malloc=keep")},
            ("baseline 256 (tensorflow)", "baseline 256 (jax, feed=cached + malloc=keep)"),
        ),
        ({"backend": "jax"}, ("baseline 256 (tensorflow)", "baseline 256 (jax, no jit)")),
        ({"version": "HEAD~1"}, ("baseline 256 (here)", "baseline 256 (HEAD~1)")),
        ({"threads": 1}, ("baseline 256 (2 threads)", "baseline 256 (1 thread)")),
    ],
)
def test_cases_are_named_by_what_tells_them_apart(changes, names):
    """What both share is not said."""
    other = dataclasses.replace(PLAIN, **changes)
    assert tuple(labels.case_names([PLAIN, other, PLAIN]).values()) == names


def test_a_case_alone_needs_no_more_than_model_and_batch():
    """Whatever is set."""
    case = dataclasses.replace(PLAIN, jit=True, device="gpu")
    assert labels.case_names([case]) == {case: "baseline 256"}
