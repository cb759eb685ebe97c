"""Runs of two versions by the command and by the plugin, over fake workers and real git."""

import json

import numpy as np
import pytest
from repositories import git

from harness.commands.parser import main
from harness.records import folders

MODEL = "def build():\n    return 1\n"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a model, as the current folder; results are elsewhere."""
    root = tmp_path / "models"
    root.mkdir()
    (root / "mine.py").write_text(MODEL)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    monkeypatch.chdir(root)
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return root


@pytest.fixture
def run(launcher, no_charts, repository, tmp_path, capsys):
    """Measure with a change of the time per sample here; exit code and JSON document."""

    def of(change, *arguments, scatter=0.0, command="run"):
        rng = np.random.default_rng(1)

        def seconds(case):
            slower = 1 if case.version else change
            return 1e-3 * slower * float(np.exp(rng.normal(0, scatter)))

        launcher.sample_seconds = seconds
        sizes = ("--batch-sizes", "32") if command == "run" else ("--batch-size", "32")
        output = ("--output", str(tmp_path / "out"), "--threads", "1", "--json")
        code = main([command, "mine.py:build", *sizes, *output, *arguments])
        shown = capsys.readouterr()
        return code, json.loads(shown.out) if shown.out else None, shown.err

    return of


VERSION = ("--reference-env", "A=1")


def test_each_case_is_compared_with_itself_in_the_other_version(run, tmp_path):
    """Whatever the sizes; the run keeps what the other version is."""
    sizes = ("--batch-sizes", "32,64")
    code, document, err = run(1.0, *VERSION, *sizes, "--effort", "quick")
    assert code == 0
    assert "reference: A=1\n  variables that differ here: A (unset, was 1)\n" in err
    rows = document["tables"]["version_speedup"]
    assert [(row["batch_size"], row["reference"]) for row in rows] == [(32, "A=1"), (64, "A=1")]
    assert {row["differs"] for row in rows} == {"A unset, was 1"}
    assert "batch_size_speedup" not in document["tables"]
    (folder,) = (tmp_path / "out" / "runs").iterdir()
    version = folders.read(folder).version
    assert version.name == "A=1"
    assert version.environment == {"A": "1"}


def test_a_commit_without_a_change_is_said_to_be_the_same(run, repository):
    """The reference is then compared with itself."""
    _, document, err = run(1.0, "--reference-rev", "main", "--effort", "quick")
    assert "nothing differs here, so that the reference is compared with itself" in err
    assert document["tables"]["version_speedup"][0]["differs"] == "nothing"


@pytest.mark.parametrize(
    ("change", "code", "answer"),
    [(1.0, 0, "excluded"), (1.04, 0, "excluded"), (1.06, 1, "beyond"), (0.5, 0, "excluded")],
)
def test_a_gate_fails_where_the_whole_interval_is_beyond(run, change, code, answer):
    """Without scatter an interval is a point."""
    found, document, _ = run(change, *VERSION, "--fail-if-slower", "5%")
    assert found == code
    (gate,) = document["gates"]
    assert gate["crossed"] == bool(code)
    assert [one["answer"] for one in gate["judgements"]] == [answer]


def test_a_gate_that_cannot_tell_passes_and_says_what_it_would_have_seen(run, capsys):
    """The figure is beyond the threshold."""
    code, document, _ = run(1.05, *VERSION, "--fail-if-slower", "5%", scatter=0.2)
    assert code == 0
    (one,) = document["gates"][0]["judgements"]
    assert one["answer"] == "undecided"
    assert one["sees_from"] > 0.05
    assert len(document["tables"]["version_speedup"]) == 1


def test_what_costs_time_besides_rounds_is_in_three_blocks(run, tmp_path):
    """Losses of both sides, a `fit` of the case alone, and rates."""
    run(1.05, *VERSION, "--fail-if-slower", "5%", scatter=0.2)
    (folder,) = (tmp_path / "out" / "runs").iterdir()
    (m,) = folders.read(folder).outcomes
    assert {s.block for s in m.starts} == set(range(6))
    assert {(s.role, s.block) for s in m.starts if s.fit} == {("case", n) for n in range(3)}
    assert {s.block for s in m.starts if s.product_flops} == {0, 1, 2}
    early = {(s.role, s.block): s.early_steps for s in m.starts if s.early_steps}
    assert set(early.values()) == {8}
    assert {role for role, _ in early} == {"case", "reference"}
    assert {block for _, block in early} <= {0, 1, 2}


def test_a_comparison_goes_on_until_it_is_decided(run):
    """Up to 24 blocks; a clear one ends at the first look."""
    gate = ("--fail-if-slower", "5%", "--until-decided")
    _, clear, _ = run(1.5, *VERSION, *gate, scatter=0.01)
    _, near, _ = run(1.05, *VERSION, *gate, scatter=0.2)
    assert clear["tables"]["version_speedup"][0]["blocks"] == 3
    assert near["tables"]["version_speedup"][0]["blocks"] == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fail-if-slower", "5%"], "--fail-if-slower compares two versions: name the other"),
        (["--until-decided"], "--until-decided compares two versions"),
        (
            [*VERSION, "--fail-if-more-memory", "5%", "--effort", "quick"],
            "--fail-if-more-memory could never fail: quick effort has no intervals",
        ),
        ([*VERSION, "--fail-if-slower", "0.05"], "0.05 may be 0.05 % or 5 %"),
        (["--reference-env", "A"], "'A' is not NAME=VALUE"),
        (["--reference-rev", "nowhere"], "no commit 'nowhere'"),
        (["--reference-python", "/nowhere"], "there is no interpreter '/nowhere'"),
        (
            [*VERSION, "--until-decided", "--effort", "thorough"],
            "--until-decided goes on by itself",
        ),
    ],
)
def test_what_could_never_fail_or_be_compared_is_wrong_usage(run, arguments, message):
    """One line, before anything is measured."""
    code, document, err = run(1.0, *arguments)
    assert code == 2
    assert document is None
    assert message in err
    assert err.count("\n") == 1


def test_a_run_of_other_files_is_not_gone_on_with(run, repository, launcher):
    """What was measured before was another version."""
    (repository / "mine.py").write_text(MODEL + "# one\n")
    assert run(1.0, "--reference-rev", "main")[0] == 0
    (repository / "mine.py").write_text(MODEL + "# one\n# two\n")
    code, _, err = run(1.0, "--reference-rev", "main", "--resume")
    assert code == 2
    assert "compares other files or versions; start a new run" in err


def test_settings_are_tuned_and_the_plain_case_is_compared(run):
    """With the same in the other version."""
    code, document, _ = run(
        1.5, *VERSION, "--levers", "jit=on", "--fail-if-slower", "5%", command="tune"
    )
    assert code == 1
    rows = document["tables"]["version_speedup"]
    assert {row["reference"] for row in rows} == {"A=1"}
    assert document["tables"]["levers"]


def test_a_summary_is_for_a_pull_request_and_for_the_page_of_a_job(
    run, repository, tmp_path, monkeypatch
):
    """Its first line is the result."""
    (repository / "mine.py").write_text(MODEL + "# |\n")
    step = tmp_path / "step.md"
    step.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    path = tmp_path / "deep" / "summary.md"
    gate = ("--fail-if-slower", "5%", "--summary", str(path))
    assert run(1.5, "--reference-rev", "main", *gate)[0] == 1
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) <= 16
    assert "1 slower" in lines[0]
    assert "- --fail-if-slower 5%: failed" in text
    assert "- beyond: mine.py:build at batch 32: time per sample +50.0 %" in text
    assert "| mine.py:build |" in text
    assert "Differs from main@" in text
    assert "mine.py (+1 -0)" in text
    assert "Repeat: `harness run mine.py:build" in text
    assert "report.html" in text
    assert step.read_text(encoding="utf-8") == "before\n" + text


TEST = """
def test_mine(train):
    train("mine.py:build", batch_size=32)
"""


def test_the_plugin_compares_every_test_with_the_other_version(pytester, launcher, no_charts):
    """And ends with 1 where a threshold is crossed."""
    launcher.sample_seconds = lambda case: 1e-3 if case.version else 1.5e-3
    pytester.makepyfile(mine=MODEL, test_it=TEST)
    options = ("--train-reference-env", "A=1", "--train-reference-env", "B=2")
    done = pytester.runpytest(*options, "--train-fail-if-slower=5%", "--train-threads=1")
    assert done.ret == 1
    done.stdout.fnmatch_lines(["reference: A=1+B=2", "--train-fail-if-slower 5%: failed"])
    done.assert_outcomes(passed=1)


def test_several_variables_may_stand_in_the_ini_file(pytester, launcher, no_charts):
    """A line each."""
    pytester.makepyfile(mine=MODEL, test_it=TEST)
    pytester.makeini("[pytest]\ntrain_reference_env =\n    A=1\n    B=2\n")
    done = pytester.runpytest("--train-effort=quick", "--train-threads=1")
    done.stdout.fnmatch_lines(["reference: A=1+B=2"])
    assert done.ret == 0
