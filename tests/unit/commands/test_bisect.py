"""`harness bisect` with real git and fake workers."""

import json
import math

import numpy as np
import pytest
from repositories import begin, commit, git

from harness.commands.parser import main
from harness.errors import BadCase
from harness.measure.versions.bisection import Bisection
from harness.measure.versions.git import Repository


def width(number):
    return {"mine_py": f"def build():\n    return {number}\n"}


@pytest.fixture
def history(tmp_path, monkeypatch):
    """Ten commits of a model; the folder and the hashes."""
    root = tmp_path / "models"
    begin(root)
    hashes = [commit(root, **width(number)) for number in range(10)]
    monkeypatch.chdir(root)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    return root, hashes


@pytest.fixture
def bisect(launcher, no_charts, history, tmp_path, capsys):
    """Search for a slowdown of commits from a number on; exit code, JSON document, progress."""
    _, hashes = history
    short = {one[:7]: number for number, one in enumerate(hashes)}

    def of(first_slow, by=1.1, scatter=0.01, *arguments):
        rng = np.random.default_rng(3)

        def seconds(case):
            slower = by if short[case.version] >= first_slow else 1.0
            return 1e-3 * slower * math.exp(rng.normal(0, scatter))

        launcher.sample_seconds = seconds
        good = ("--good", hashes[0], "--batch-size", "32", "--threads", "1")
        output = ("--output", str(tmp_path / "out"), "--json")
        code = main(["bisect", "mine.py:build", *good, *output, *arguments])
        shown = capsys.readouterr()
        return code, json.loads(shown.out), shown.err

    return of


@pytest.mark.parametrize("first_slow", [1, 2, 5, 8, 9])
def test_the_first_slow_commit_is_found(bisect, history, first_slow):
    """In a few steps, with a confidence; the repository is as it was."""
    root, hashes = history
    before = git(root, "status", "--porcelain"), git(root, "for-each-ref")
    code, document, _ = bisect(first_slow)
    assert code == 0
    found = document["bisect"]
    assert found["found"] == [hashes[first_slow]]
    assert found["confidence"] > 0.95
    assert len(found["steps"]) <= 5
    assert all(one["slow"] == (hashes.index(c) >= first_slow) for c, one in found["steps"].items())
    assert (git(root, "status", "--porcelain"), git(root, "for-each-ref")) == before
    rows = document["tables"]["version_speedup"]
    assert {row["version"] for row in rows} == {commit[:7] for commit in found["steps"]}


def test_a_commit_that_cannot_be_trained_is_skipped(bisect, launcher, history, monkeypatch):
    """Where it matters, all that are left open are named."""
    _, hashes = history
    trial = launcher.start

    def start(case, timeout):
        launcher.untrainable = (
            {"mine.py:build": ("error", "it does not build", "")}
            if case.version == hashes[4][:7]
            else {}
        )
        return trial(case, timeout)

    monkeypatch.setattr(launcher, "start", start)
    code, document, _ = bisect(5)
    found = document["bisect"]
    assert "it does not build" in found["skipped"].get(hashes[4], "")
    assert set(found["found"]) == {hashes[4], hashes[5]}
    assert code == 1


def test_without_a_slowdown_there_is_nothing_to_find(bisect):
    """The exit code says so."""
    code, document, _ = bisect(100)
    assert code == 1
    assert document["bisect"] is None


def test_an_interrupted_search_names_no_commit(bisect, launcher):
    """It says how many are left."""
    launcher.interrupt_at_round = 120
    code, document, _ = bisect(5)
    assert code == 130
    assert document["bisect"]["found"] == []
    assert document["bisect"]["untried"] >= 1


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("HEAD", "HEAD~2", "--good HEAD is no ancestor of --bad HEAD~2"),
        ("HEAD", "HEAD", "--good and --bad are the same commit"),
        ("nowhere", "HEAD", "no commit 'nowhere'"),
    ],
)
def test_commits_that_are_no_range_are_one_line(history, good, bad, message):
    """Before anything is measured."""
    root, _ = history
    with pytest.raises(BadCase, match=message):
        Bisection.between(Repository.of(root), good, bad)


def test_a_merged_branch_is_searched_too(tmp_path):
    """The slow commit may lie on it."""
    root = tmp_path / "merged"
    begin(root)
    first = commit(root, **width(0))
    git(root, "checkout", "-q", "-b", "side")
    side = [commit(root, **{f"side{n}_py": "\n"}) for n in range(3)]
    git(root, "checkout", "-q", "main")
    commit(root, **width(1))
    git(root, "merge", "-q", "--no-edit", "side")
    search = Bisection.between(Repository.of(root), first, "main")
    slow = {*side[1:], git(root, "rev-parse", "main")}
    while (tried := search.next()) is not None:
        if tried in slow:
            search.bad = tried
        else:
            search.good.append(tried)
    assert search.found() == [side[1]]
    assert search.subject(side[1]).startswith("1 files (A, ")
