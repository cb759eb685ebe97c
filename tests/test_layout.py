"""The layout that CONTRIBUTING.md promises: few names, small folders, small files, plain names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HARNESS = ROOT / "harness"
FILES = sorted(HARNESS.rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES})


def test_the_package_has_at_most_twelve_names():
    """Modules and folders; `py.typed` is a mark for type checkers."""
    names = {path.name for path in HARNESS.iterdir()} - {"__pycache__", "py.typed"}
    assert len(names) <= 12, sorted(names)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_holds_two_to_sixteen_files(folder):
    """More would be several topics, one would need no folder."""
    files = list(folder.glob("*.py"))
    assert len([path for path in files if path.name != "__init__.py"]) >= 2
    assert len(files) <= 16


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_at_most_400_lines(path):
    """A longer file does more than one thing."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_no_name_says_nothing():
    """A name says what is inside."""
    said = {"utils", "core", "common", "base", "helpers", "misc"}
    assert {path.stem for path in FILES} & said == set()
    assert {folder.name for folder in FOLDERS} & said == set()


def test_rules_are_seldom_switched_off():
    """A rule that is fought is a wrong rule: it is dropped with a reason."""
    marks = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in [*FILES, *ROOT.glob("suites/*.py"), *ROOT.glob("tests/**/*.py")]
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"# (noqa|fmt: skip)", line) and path.name != "test_layout.py"
    ]
    assert len(marks) <= 40, "\n".join(marks)


def test_the_unit_tests_mirror_the_package():
    """A folder of tests for each folder at the top, and none besides."""
    tests = {path.name for path in (ROOT / "tests" / "unit").iterdir() if path.is_dir()}
    folders = {path.name for path in HARNESS.iterdir() if path.is_dir()} - {"__pycache__"}
    assert tests - {"__pycache__"} == folders
