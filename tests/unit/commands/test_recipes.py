"""The commands of docs/ci.md and docs/versions.md, one after the other, over fake workers.

Real workers do the same in tests/integration/test_versions.py.
"""

import re
import shlex
import sys
from pathlib import Path

import pytest
from repositories import begin, commit, git

from harness.commands.parser import main

DOCS = Path(__file__).parents[3] / "docs"
NIGHT = shlex.split(
    "run baseline my_model.py:build --batch-sizes 64 --devices cpu --threads 1 --dataset digits"
)
MODEL = {"my_model_py": "def build():\n    return 1\n"}


def fenced(page):
    """The commands of the fences without a language; `> FILE` is left out."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [
        line
        for language, block in blocks
        if not language
        for line in block.splitlines()
        if "harness" in line
    ]
    return [line.partition(" > ")[0] for line in lines]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository with a tag, a branch of a remote, and an older environment."""
    root = tmp_path / "project"
    begin(root)
    commit(root, **MODEL)
    git(root, "tag", "v1.0")
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    for number in range(3):
        commit(root, my_model_py=f"def build():\n    return {number}\n")
    for path in (root / "old", tmp_path / "old"):
        path.mkdir()
        (path / ".venv").symlink_to(sys.prefix)
    monkeypatch.chdir(root)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return root


@pytest.mark.parametrize("page", ["ci.md", "versions.md"])
def test_every_command_of_the_page_runs(folder, launcher, no_charts, capfdbinary, page):
    """In the order of the page; a nightly run is there twice before its history is read."""
    slow = git(folder, "rev-parse", "--short=7", "HEAD")
    launcher.sample_seconds = lambda case: 1.5e-3 if case.version == slow else 1e-3
    commands = fenced(page)
    assert len(commands) >= 5
    for command in commands:
        words = shlex.split(command)[1:]
        if words[0] in ("run", "bisect"):
            words += ["--threads", "1", "--dataset", "digits"]
        if words[0] == "history":
            for _ in range(2):
                assert main([*NIGHT, "--output", words[1]]) == 0
        assert main(words) == 0, command
        capfdbinary.readouterr()
    assert (folder / "history.html").exists()
