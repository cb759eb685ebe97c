"""Another version: files of a commit, another interpreter, other variables; with real git."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from repositories import commit, git

from harness.errors import BadCase
from harness.measure.versions import checkout, place
from harness.measure.versions.checkout import TemporaryFolder
from harness.measure.versions.git import Repository
from harness.measure.versions.interpreter import Interpreter, changes
from harness.measure.versions.open_version import Wanted
from harness.measure.versions.open_version import open_version as opened
from harness.records import Change

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
MODEL = "net.py:build"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files, to see what is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """One with a commit, in a folder whose name has a space; the current folder."""
    root = tmp_path / "my models"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "net.py").write_text("WIDTH = 1\n")
    (root / ".gitignore").write_text("data/\n*.npy\n")
    (root / "data").mkdir()
    (root / "data" / "x.csv").write_text("1,2\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    monkeypatch.chdir(root)
    return root


def state(root):
    """All that git knows of a repository, and what its folder holds."""
    listed = [
        git(root, *words.split()) for words in ("status --porcelain", "worktree list", "branch")
    ]
    return listed, sorted(str(path) for path in root.rglob("*") if ".git/" not in str(path))


def test_the_files_of_a_commit_are_there_until_the_end(repository, temporary, tmp_path):
    """Uncommitted changes are what is measured; data that git ignores is shared."""
    commit(repository, net_py="WIDTH = 2\n", gone_py="old = 1\n")
    (repository / "gone.py").unlink()
    (repository / "net.py").write_text("WIDTH = 3\n")
    (repository / "new.py").write_text("")
    (repository / "new.csv").write_text("")
    (tmp_path / "beside.csv").write_text("3\n")
    before = state(repository)
    other = opened(Wanted("HEAD"), [MODEL], "tensorflow", tmp_path / "out")
    there = other._checkout.there
    assert (there / "net.py").read_text() == "WIDTH = 2\n"
    assert (there / "gone.py").exists()
    assert (there / "data" / "x.csv").read_text() == "1,2\n"
    assert (there / "new.csv").exists()
    assert (there / ".." / "beside.csv").read_text() == "3\n"
    assert not (there / "new.py").exists()
    assert other.version.name == f"HEAD@{git(repository, 'rev-parse', '--short=7', 'HEAD')}"
    assert set(other.version.changes) == {
        Change("file", "gone.py", "+0 -1"),
        Change("file", "net.py", "+1 -1"),
        Change("file", "new.csv", "new"),
        Change("file", "new.py", "new"),
    }
    other.close()
    assert list(temporary.iterdir()) == []
    assert state(repository) == before


def test_a_detached_head_and_a_tag_are_commits(repository, tmp_path):
    """Named as they were given; a hash is its own name."""
    git(repository, "tag", "v1")
    commit(repository, net_py="WIDTH = 2\n")
    git(repository, "checkout", "-q", "--detach")
    for name in ("v1", git(repository, "rev-parse", "v1")):
        other = opened(Wanted(name), [MODEL], "tensorflow", tmp_path / "out")
        assert (other._checkout.there / "net.py").read_text() == "WIDTH = 1\n"
        assert other.version.name == ("v1@" if name == "v1" else "") + other.version.commit[:7]
        other.close()


def test_equal_versions_do_not_differ(repository, tmp_path):
    """And a folder of results inside the repository is no change."""
    (repository / "results").mkdir()
    (repository / "results" / "run.json").touch()
    other = opened(Wanted("main"), [MODEL], "tensorflow", repository / "results")
    assert other.version.changes == ()
    other.close()


def test_a_hook_of_git_does_not_mislead(repository, tmp_path, monkeypatch):
    """Its variables name another index and repository."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    other = opened(Wanted("HEAD"), [MODEL], "tensorflow", tmp_path / "out")
    assert (other._checkout.there / "net.py").exists()
    other.close()


@pytest.fixture
def with_submodule(repository, tmp_path):
    """The repository with a submodule that was changed once."""
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "main")
    commit(inner, layers_py="depth = 1\n")
    git(repository, "submodule", "--quiet", "add", str(inner), "lib")
    git(repository, "commit", "-q", "-m", "with")
    commit(repository / "lib", layers_py="depth = 2\n")
    git(repository, "commit", "-q", "-am", "newer")
    return repository


def test_submodules_have_the_files_of_their_commit(with_submodule, tmp_path):
    """Each as the commit of the repository says."""
    other = opened(Wanted("HEAD~1"), [MODEL], "tensorflow", tmp_path / "out")
    assert (other._checkout.there / "lib" / "layers.py").read_text() == "depth = 1\n"
    assert [change.name for change in other.version.changes] == ["lib"]
    other.close()


def test_a_submodule_without_its_commit_is_one_line(with_submodule, tmp_path, temporary):
    """It says how to bring it."""
    shutil.rmtree(with_submodule / "lib")
    shutil.rmtree(with_submodule / ".git" / "modules")
    git(with_submodule, "init", "-q", "lib")
    with pytest.raises(BadCase, match=r"submodule lib lacks its commit .*: git -C lib fetch"):
        opened(Wanted("HEAD"), [MODEL], "tensorflow", tmp_path / "out")
    assert list(temporary.iterdir()) == []


def test_a_shallow_clone_says_what_brings_the_commit(repository, tmp_path, monkeypatch):
    """Of a commit that it lacks."""
    commit(repository, net_py="WIDTH = 2\n")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    with pytest.raises(BadCase, match=r"no commit 'HEAD~1' .* shallow clone: git fetch"):
        opened(Wanted("HEAD~1"), [MODEL], "tensorflow", tmp_path / "out")


def checked(revision, model, out):
    other = opened(Wanted(revision), [model], "tensorflow", out)
    with contextlib.closing(other):
        other.check(model)


@pytest.mark.parametrize(
    ("revision", "model", "message"),
    [
        ("nowhere", MODEL, "no commit 'nowhere' in .*my models$"),
        ("--all", MODEL, "no commit '--all'"),
        ("HEAD", "baseline", "baseline is no file of yours, so it is the same at every commit"),
        ("HEAD", "keras.applications:MobileNet", "is no file of yours"),
        ("HEAD", "json:loads", "json:loads is no file of yours"),
        ("HEAD", "../out.py:build", "out.py:build is outside of .*, so it is the same"),
        ("HEAD", "new.py:build", "new.py:build: there is no new.py at HEAD@"),
    ],
)
def test_what_cannot_be_compared_is_one_line(repository, tmp_path, revision, model, message):
    """Before anything is trained."""
    (repository / "new.py").touch()
    (tmp_path / "out.py").touch()
    with pytest.raises(BadCase, match=message):
        checked(revision, model, tmp_path)


def test_outside_of_a_repository_is_one_line(tmp_path, monkeypatch):
    """Git's own."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadCase, match="not a git repository"):
        opened(Wanted("HEAD"), [MODEL], "tensorflow", tmp_path / "out")


KILLED = """
import sys, tempfile, time
from harness.measure.versions.checkout import TemporaryFolder
tempfile.tempdir = sys.argv[1]
made = TemporaryFolder.make()
print(made.path, flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_leaves_is_removed_by_the_next_start(temporary):
    """And not while the process lives."""
    command = [sys.executable, "-c", KILLED, str(temporary)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        left = process.stdout.readline().strip()
        checkout.remove_abandoned()
        assert Path(left).is_dir()
        process.send_signal(signal.SIGKILL)
    own = TemporaryFolder.make()
    assert [str(path) for path in temporary.iterdir()] == [str(own.path)]
    own.remove()
    own.remove()


MODULES = """
import json, sys
from harness.workloads import redirect
redirect.follow(sys.argv[1])
import package, package.inner, flat, spaced.leaf, shared
found = {name: sys.modules[name].WHERE for name in
         ("package", "package.inner", "flat", "spaced.leaf", "shared")}
try:
    import added
except ModuleNotFoundError as error:
    found["added"] = str(error)
print(json.dumps(found))
"""
START = "import sys\nsys.dont_write_bytecode = True\n"
FINDER = """
import importlib.util, sys
class Editable:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "flat":
            return importlib.util.spec_from_file_location(name, {path!r})
sys.meta_path.append(Editable)
"""


def test_modules_are_those_of_the_commit(repository, tmp_path):
    """A package, one without a file, an editable install, a new one, one that git ignores."""
    names = ["src/package/__init__.py", "src/package/inner.py", "flat.py", "src/spaced/leaf.py"]
    for where in ("old", "new"):
        for name in [*names, *(["src/added.py"] if where == "new" else [])]:
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            (repository / name).write_text(f"WHERE = {where!r}\n")
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", where)
    (repository / "data" / "shared.py").write_text("WHERE = 'shared'\n")
    root = Repository.of(repository)
    made = checkout.Checkout.make(root, root.commit("HEAD~1"), tmp_path / "made")
    its = place.elsewhere(tmp_path, None, made, {})
    editable = FINDER.format(path=str(repository / "flat.py"))
    folders = [str(repository / "src"), str(repository / "data")]
    done = subprocess.run(
        [*its.python, "-c", f"{START}sys.path += {folders}\n{editable}{MODULES}", its.redirect],
        env={**os.environ, **its.variables, "PYTHONPATH": its.search_path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "package": "old",
        "package.inner": "old",
        "flat": "old",
        "spaced.leaf": "old",
        "shared": "shared",
        "added": "No module named 'added'",
    }
    assert not list(repository.rglob("__pycache__"))


def test_what_differs_between_interpreters_is_listed():
    """Python itself first."""
    here = Interpreter("a", (3, 12, 1), {"keras": "3.15.1", "numpy": "2.0"})
    there = Interpreter("b", (3, 11, 7), {"keras": "3.10.0", "numpy": "2.0", "scipy": "1.0"})
    assert list(changes(there, here)) == [
        Change("library", "Python", "3.12.1, was 3.11.7"),
        Change("library", "keras", "3.15.1, was 3.10.0"),
        Change("library", "scipy", "not installed, was 1.0"),
    ]


@pytest.fixture
def interpreter(tmp_path):
    """Make a program that answers as an interpreter does."""

    def make(text):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    return make


ANSWER = """echo '{{"python": [{}], "missing": [{}], "packages": {{{}}}}}'"""


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ANSWER.format("3, 8, 1", "", ""), "is Python 3.8.1; workers need 3.11 or newer"),
        (
            ANSWER.format("3, 12, 1", '"psutil"', ""),
            "lacks psutil, which workers import: .*/python -m pip install psutil",
        ),
        (ANSWER.format("3, 12, 1", "", '"keras": "2.15.0"'), "has Keras 2.15.0; only Keras 3"),
        ("echo broken >&2; exit 3", "no Python that can be used: broken"),
        ("echo 1", "does not answer as Python does"),
    ],
)
def test_an_interpreter_that_cannot_train_is_one_line(interpreter, tmp_path, answer, message):
    """It says what to do."""
    with pytest.raises(BadCase, match=message):
        opened(Wanted(python=interpreter(answer)), [MODEL], "tensorflow", tmp_path / "out")


def test_there_is_no_such_interpreter(tmp_path):
    """Neither as a file nor on the path."""
    with pytest.raises(BadCase, match="there is no interpreter 'nowhere'"):
        opened(Wanted(python="nowhere"), [MODEL], "tensorflow", tmp_path / "out")


def test_variables_differ_where_they_are_not_set_so_here(tmp_path, monkeypatch):
    """The name of the version says them."""
    monkeypatch.setenv("A", "1")
    monkeypatch.delenv("B", raising=False)
    wanted = Wanted(environment=(("A", "1"), ("B", "x y")))
    other = opened(wanted, [MODEL], "tensorflow", tmp_path / "out")
    assert other.version.name == "A=1+B=x y"
    assert other.version.changes == (Change("variable", "B", "unset, was x y"),)
    assert other.places[other.version.name].variables.items() >= {"A": "1", "B": "x y"}.items()
    other.close()


def test_a_variable_that_the_harness_sets_is_refused(tmp_path):
    """With the option that is meant."""
    wanted = Wanted(environment=(("KERAS_BACKEND", "jax"),))
    with pytest.raises(BadCase, match="KERAS_BACKEND cannot differ: --backend names"):
        opened(wanted, [MODEL], "tensorflow", tmp_path / "out")
