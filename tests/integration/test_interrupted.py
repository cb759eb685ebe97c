"""A run that is killed: nothing measured is lost, no process is left, it can be gone on with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
SUITE = """
import pytest

@pytest.mark.parametrize("size", [16, 32])
def test_it(train, size):
    train("improved", batch_size=size)
"""


def command(*more):
    options = ["--train-dataset", "synthetic", "--train-effort", "quick", "--train-steps", "1"]
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, *more]


def entries(folder, kind):
    lines = (folder / "journal.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]


def test_a_killed_run_loses_nothing_and_leaves_nothing(tmp_path):
    """SIGKILL while the second case is measured; then --train-resume measures only the rest."""
    (tmp_path / "test_it.py").write_text(SUITE)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    pytest_run = subprocess.Popen(
        command("-s"), cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment
    )
    for line in pytest_run.stdout:
        if "[2/2]" in line:
            break
    family = psutil.Process(pytest_run.pid).children(recursive=True)
    assert family, "the fork server at least"
    pytest_run.kill()
    pytest_run.communicate()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []

    (folder,) = (tmp_path / "results" / "runs").iterdir()
    assert len(entries(folder, "outcome")) == 1
    before = entries(folder, "round")
    assert before

    subprocess.run(command("--train-resume"), cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert [folder] == list((tmp_path / "results" / "runs").iterdir())
    assert before == entries(folder, "round")[: len(before)]
    assert len(entries(folder, "outcome")) == 2
    run = json.loads((folder / "run.json").read_text())
    assert [o["case"]["batch_size"] for o in run["outcomes"]] == [16, 32]
