"""Two versions in one run, with real workers: a commit, an interpreter, a variable."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from repositories import git

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="there is no git"),
]
ROOT = Path(__file__).parents[2]
# Torch is imported in half of the time.
BACKEND = "torch" if importlib.util.find_spec("torch") else "tensorflow"
NET = """
import keras
from parts import depth


def build():
    import os
    hidden = [keras.layers.Dense(256, "relu") for _ in range(depth(os.environ))]
    model = keras.Sequential([keras.Input((256,)), *hidden, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
"""
CLASSIFIER = """
import keras
from parts import RATE


def build():
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(RATE), loss, metrics=["accuracy"])
    return model
"""
SUITE = """
import pytest


@pytest.mark.convergence
@pytest.mark.matrix(variants=["net.py:build"], batch_sizes=[50])
def test_convergence(converge, seed, device):
    converge(seed=seed, device=device)
"""
SHALLOW = "def depth(variables):\n    return int(variables.get('DEPTH', 2))\n"
DEEP = SHALLOW.replace("2", "32")


@pytest.fixture
def repository(tmp_path):
    """A shallow model at `main`, and a deep one in the working tree."""
    root = tmp_path / "my models"
    root.mkdir()
    (root / "net.py").write_text(NET)
    (root / "parts.py").write_text(SHALLOW)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "shallow")
    (root / "parts.py").write_text(DEEP)
    return root


@pytest.fixture
def start(tmp_path):
    """Start the command in a repository; temporary files are in a folder of their own."""
    (tmp_path / "temporary").mkdir()

    def of(repository, *arguments):
        measured = ("run", "net.py:build", "--batch-sizes", "64", "--backend", BACKEND)
        output = ("--devices", "cpu", "--output", str(tmp_path / "out"), "--json")
        command = [sys.executable, "-m", "harness", *measured, *output, *arguments]
        kept = {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")}
        return subprocess.Popen(
            command,
            cwd=repository,
            env={**os.environ, **kept},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return of


@pytest.fixture
def run(start):
    """Run it: exit code, JSON document, and the lines of progress."""

    def of(repository, *arguments):
        with start(repository, *arguments) as process:
            out, err = process.communicate(timeout=500)
        assert "Traceback" not in err, err
        return process.returncode, json.loads(out), err

    return of


def untouched(repository, before, temporary):
    assert git(repository, "status", "--porcelain") == before == "M parts.py"
    assert git(repository, "worktree", "list").count("\n") == 0
    assert git(repository, "branch", "--list") == "* main"
    assert list(temporary.glob("harness-*")) == []


def test_a_commit_is_the_reference_and_a_gate_fails(repository, run, tmp_path):
    """Of a model 16 times as deep as before; nothing is left behind."""
    before = git(repository, "status", "--porcelain")
    gates = ("--fail-if-slower", "5%", "--fail-if-more-memory", "500%")
    code, document, err = run(repository, "--reference-rev", "main", "--steps", "4", *gates)
    assert code == 1
    assert "files that differ here: parts.py (+1 -1)" in err
    (row,) = document["tables"]["version_speedup"]
    assert row["verdict"] == "slower"
    assert row["differs"] == "parts.py +1 -1"
    assert row["reference"].startswith("main@")
    slower, memory = document["gates"]
    assert slower["crossed"]
    assert [one["answer"] for one in slower["judgements"]] == ["beyond"]
    assert not memory["crossed"]
    assert [one["answer"] for one in memory["judgements"]] == ["excluded"]
    untouched(repository, before, tmp_path / "temporary")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(repository, start, run, tmp_path, number):
    """By a signal; what a killed process leaves, the next start removes."""
    before = git(repository, "status", "--porcelain")
    with start(repository, "--reference-rev", "main") as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "out").glob("runs/*/journal.jsonl")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(number)
        process.communicate(timeout=120)
    if number == signal.SIGKILL:
        quick = ("--effort", "quick", "--steps", "1")
        code, _, _ = run(repository, "--reference-env", "DEPTH=1", *quick)
        assert code == 0
    untouched(repository, before, tmp_path / "temporary")


def test_a_variable_is_another_version(repository, run):
    """Named by itself."""
    quick = ("--effort", "quick", "--steps", "1")
    code, document, _ = run(repository, "--reference-env", "DEPTH=64", *quick)
    assert code == 0
    (row,) = document["tables"]["version_speedup"]
    assert row["reference"] == "DEPTH=64"
    sizes = {one["version"]: one["parameters"] for one in document["tables"]["measurements"]}
    assert sizes["DEPTH=64"] > sizes[""]


def test_versions_are_trained_in_full(repository, small_data, tmp_path):
    """The working tree unlearned what `main` learns: its accuracy is lower, and said to be."""
    (repository / "net.py").write_text(CLASSIFIER)
    (repository / "parts.py").write_text("RATE = 0.01\n")
    (repository / "test_it.py").write_text(SUITE)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "learns")
    (repository / "parts.py").write_text("RATE = 0.0\n")
    output = tmp_path / "out"
    options = (
        ("reference-rev", "main"),
        ("backend", BACKEND),
        ("output", output),
        ("devices", "cpu"),
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "test_it.py"),
            *(f"--train-{name}={value}" for name, value in options),
            *("--train-devices=cpu", "--train-epochs=3", "--train-seeds=2"),
            f"--train-dataset={small_data}",
        ],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (output / "runs").iterdir()
    trainings = json.loads((run / "run.json").read_text())["trainings"]
    assert len(trainings) == 4
    last = {bool(one["recipe"]["case"]["version"]): one["epochs"][-1] for one in trainings}
    assert last[True]["val_accuracy"] > last[False]["val_accuracy"] + 0.2
    assert "main@" in (run / "tables" / "accuracy.md").read_text()


@pytest.fixture(scope="module")
def other_keras(tmp_path_factory):
    """An environment with another Keras, and for the rest the packages of this one."""
    folder = tmp_path_factory.mktemp("environment") / "older"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    version = "3.14.0"
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "--no-deps", f"keras=={version}"]
    if subprocess.run(install, check=False, capture_output=True).returncode:
        pytest.skip(f"Keras {version} cannot be installed here")
    (packages,) = folder.glob("lib/*/site-packages")
    (packages / "rest.pth").write_text(sysconfig.get_paths()["purelib"])
    return folder, version


def test_another_interpreter_is_another_version(repository, run, other_keras):
    """With its own Keras; what differs is said and stored."""
    folder, version = other_keras
    quick = ("--effort", "quick", "--steps", "1")
    code, document, err = run(repository, "--reference-python", str(folder), *quick)
    assert code == 0
    (row,) = document["tables"]["version_speedup"]
    assert row["reference"] == "older"
    assert f"was {version}" in row["differs"]
    assert f"was {version}" in err


def test_a_mistake_is_one_line(repository, start):
    """Before anything is imported."""
    with start(repository, "--fail-if-slower", "5%") as process:
        _, err = process.communicate(timeout=100)
    assert process.returncode == 2
    assert err.count("\n") == 1
    assert "--fail-if-slower compares two versions: name the other by --reference-rev" in err
