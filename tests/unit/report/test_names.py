"""Names of comparisons, and of files without their folders."""

import dataclasses

import pytest
from samples import batch_sizes

from harness.records import Case
from harness.report.names import comparison, shortened

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


def named(run, variant, dataset="digits"):
    """The run with another variant and dataset in every case."""

    def changed(case):
        return dataclasses.replace(case, variant=variant, dataset=dataset)

    outcomes = [
        dataclasses.replace(o, case=changed(o.case), reference=changed(o.reference))
        for o in run.outcomes
    ]
    return dataclasses.replace(run, outcomes=tuple(outcomes))


def test_a_file_is_shown_without_its_folder(tmp_path):
    """Model and data."""
    run = named(batch_sizes(tmp_path), "/home/me/mine.py:build", "/home/me/data.npz")
    short = shortened(run)
    assert {o.case.variant for o in short.outcomes} == {"mine.py:build"}
    assert {o.reference.dataset for o in short.outcomes} == {"data.npz"}


def test_two_files_of_one_name_keep_their_folders(tmp_path):
    """Else nobody could tell them apart."""
    run = named(batch_sizes(tmp_path / "1"), "a/mine.py:build")
    other = named(batch_sizes(tmp_path / "2"), "b/mine.py:build")
    both = dataclasses.replace(run, outcomes=run.outcomes + other.outcomes)
    assert {o.case.variant for o in shortened(both).outcomes} == {
        "a/mine.py:build", "b/mine.py:build",
    }  # fmt: skip


def test_a_run_of_bundled_models_is_as_it_was(tmp_path):
    """The very same."""
    run = batch_sizes(tmp_path)
    assert shortened(run) is run
