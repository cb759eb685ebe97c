"""The parent stays light."""

import subprocess
import sys

import pytest

HEAVY = ["tensorflow", "keras", "jax", "torch", "pandas", "matplotlib"]


@pytest.mark.parametrize("module", ["harness.cli", "harness.plugin"])
def test_importing_the_parent_side_imports_nothing_heavy(module):
    """Neither a framework nor pandas nor matplotlib."""
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "[]"
