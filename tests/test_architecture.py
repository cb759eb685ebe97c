"""The parent stays light, and imports go one way."""

import subprocess
import sys

import pytest

HEAVY = ["tensorflow", "keras", "jax", "torch", "pandas", "matplotlib"]


@pytest.mark.parametrize(
    "module",
    [
        "harness.commands.parser",
        "harness.commands.plugin.hooks",
        "harness.commands.session",
        "harness.report.progress",
        "harness.tables",
    ],
)
def test_importing_the_parent_side_imports_nothing_heavy(module):
    """Neither a framework nor pandas nor matplotlib."""
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "[]"


@pytest.mark.parametrize("module", ["harness.records.run_file", "harness.analyze.stats"])
def test_reading_a_run_and_its_intervals_needs_little(module):
    """No pandas, and of SciPy no `scipy.stats`, which takes longer to import than runs to read."""
    code = (
        f"import sys, {module}; print([m for m in {[*HEAVY, 'scipy.stats']} if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "[]"


def test_imports_keep_the_contracts():
    """The contracts stand in pyproject.toml; import-linter says which one is broken."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_collecting_the_suites_imports_nothing_heavy():
    """Nor does reading their plan."""
    code = (
        "import sys, pytest; pytest.main(['suites', '--collect-only', '-q']); "
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "test_batch_size" in shown
    assert shown.splitlines()[-1] == "[]"
