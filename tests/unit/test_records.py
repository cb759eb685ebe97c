"""Records survive the disk."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Case, Estimate, Run, from_json, to_json

CASES = st.builds(
    Case,
    variant=st.text(min_size=1),
    dataset=st.sampled_from(["mnist", "digits"]),
    batch_size=st.integers(1, 10**6),
    threads=st.integers(1, 512),
    optimizer=st.sampled_from([None, "adam", "sgd"]),
    jit=st.booleans(),
)


@given(CASES)
def test_a_case_comes_back_as_it_was(case):
    """Through JSON text."""
    assert case == from_json(Case, json.loads(json.dumps(to_json(case))))


@given(CASES, CASES)
def test_names_are_equal_only_where_cases_are(one, other):
    """The name is what a run knows a case by."""
    one, other = (dataclasses.replace(case, variant="baseline") for case in (one, other))
    assert (one == other) == (one.id == other.id)


def test_a_missing_value_stays_missing():
    """None is neither 0 nor NaN."""
    assert from_json(Estimate, to_json(Estimate(2.0, None, None, 1))).low is None


def test_what_is_no_record_is_refused():
    """With its name."""
    with pytest.raises(ValueError, match="not a Run"):
        from_json(Run, {"id": "x"})
