"""What holds on a GPU: the parts of `docs/evidence/gpu.py`, each a test.

`pytest tests/gpu` on a machine with a GPU; elsewhere each is skipped with the reason.
"""

import importlib.util
import sys
from pathlib import Path

import pytest
from rich.console import Console

from harness.measure.machine import facts
from harness.measure.machine.open_gpu import open_gpu

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
SCRIPT = Path(__file__).parents[2] / "docs" / "evidence" / "gpu.py"
_SPEC = importlib.util.spec_from_file_location("gpu_evidence", SCRIPT)
evidence = sys.modules["gpu_evidence"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(evidence)


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """The GPU, and the frameworks that see it."""
    gpu = open_gpu()
    if gpu.name is None:
        pytest.skip(gpu.reason)
    folder = tmp_path_factory.mktemp("gpu")
    found = evidence.Hour(folder, gpu, facts.describe(gpu), Console(), quick=True)
    if not found.seen:
        pytest.skip("; ".join(found.unseen.values()))
    return found


@pytest.mark.parametrize("part", evidence.PARTS)
def test_a_part_holds(hour, part):
    """Or is not shown, with its reason."""
    short = [one for one in evidence.tried(hour, part) if one.verdict == "falls short"]
    assert short == []
