"""Records survive the disk."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Case, Estimate, Machine, Round, Run, Training, from_json, to_json

ROUND = Round(0, 0, "case", 0, 2, 0.5, 1.0, cpu_seconds=0.5)

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


@pytest.mark.parametrize(
    ("kind", "data", "what"),
    [
        (Case, {"variant": "baseline"}, "not a Case: .*dataset"),
        (Machine, [], "not a Machine: .*id"),
        (Machine, None, "not a Machine"),
        (Round, {**to_json(ROUND), "role": 1}, "not a Round"),
        (Training, {"recipe": {"epochs": 1}}, "not a Training: .*case"),
        (Run, {"outcomes": [{"type": "other"}]}, "not a Run: .*other"),
    ],
)
def test_a_wrong_shape_names_what_is_missing(kind, data, what):
    """And never another error."""
    with pytest.raises(ValueError, match=what):
        from_json(kind, data)


def test_an_unknown_field_is_ignored_and_a_missing_one_takes_its_default():
    """A file of another version of the same schema."""
    data = {"variant": "baseline", "dataset": "mnist", "batch_size": 1, "later": 2}
    assert Case("baseline", "mnist", 1) == from_json(Case, data)
