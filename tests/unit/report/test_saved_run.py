"""`harness.read`: a run and its tables for users of pandas."""

import subprocess
import sys

import pandas as pd
import pytest
from samples import batch_sizes

import harness
from harness.report import files

HEAVY = ("pandas", "rich", "numpy")


@pytest.fixture
def results(tmp_path):
    """A folder of results with one run."""
    batch_sizes(tmp_path / "runs" / "20260101-120000")
    return tmp_path


@pytest.mark.parametrize("name", ["latest", "20260101-120000", "2026"])
def test_a_run_is_named_as_in_the_commands(results, name):
    """By id, by a beginning of it, or as the latest."""
    assert harness.read(name, results).run.id == "20260101-120000"


def test_a_run_is_named_by_its_folder(results):
    """Wherever the folder lies."""
    folder = results / "runs" / "20260101-120000"
    assert harness.read(folder).folder == folder


def test_a_table_is_what_its_csv_file_holds(results, no_charts):
    """Column by column and row by row."""
    run = harness.read(results=results)
    files.write(run.run, run.folder)
    for name in run.tables:
        saved = pd.read_csv(run.folder / "tables" / f"{name}.csv")
        frame = run.table(name)
        assert list(saved.columns) == list(frame.columns)
        assert len(saved) == len(frame)
    assert list(run.table("batch_size_speedup")["batch_size"]) == [256, 1024, 4096]


def test_a_table_without_rows_is_an_empty_frame(results):
    """Nothing was tried."""
    run = harness.read(results=results)
    assert "levers" not in run.tables
    assert run.table("levers").empty


def test_an_unknown_table_is_an_error_that_lists_the_names(results):
    """A HarnessError, as every mistake of a user."""
    with pytest.raises(harness.HarnessError, match="no table 'lever'; known: measurements, "):
        harness.read(results=results).table("lever")


def test_a_run_that_does_not_exist_is_an_error(tmp_path):
    """In the words of the commands."""
    with pytest.raises(harness.HarnessError, match="there is no run in"):
        harness.read(results=tmp_path)


def test_importing_the_package_is_light():
    """Neither pandas nor rich."""
    code = f"import sys, harness; print([m for m in {HEAVY} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
