"""Names without their folders."""

import dataclasses

from samples import batch_sizes

from harness.report.short_names import shortened


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
