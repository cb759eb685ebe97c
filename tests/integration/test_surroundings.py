"""The command in surroundings that are unlike a developer's shell, with a real framework."""

import importlib.util
import json
import os
import resource
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MODEL = """
import keras, numpy as np, warnings

print("✓ loading")
warnings.warn("my own")


def build():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def legacy():
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.Input((6,)), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def data():
    return np.ones((64, 6)), np.zeros(64)
"""
# Torch is imported in half of the time; what is said of legacy Keras needs TensorFlow.
BACKEND = "torch" if importlib.util.find_spec("torch") else "tensorflow"
RUN = ("run", "--effort", "quick", "--batch-sizes", "8", "--devices", "cpu", "--json")
RUN = (*RUN, "--backend", BACKEND)
UNKNOWN = 54321  # an id that no user has


@pytest.fixture
def folder(tmp_path):
    """A folder that everybody may write, with a model."""
    (tmp_path / "net.py").write_text(MODEL, encoding="utf-8")
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o777)
    return tmp_path


def harness(folder, *arguments, python=(), variables=None, **options):
    """Run the command; return its exit code, standard output and error."""
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, *python, "-m", "harness", *arguments],
        cwd=folder,
        env={**kept, **(variables or {})},
        capture_output=True,
        check=False,
        **options,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def limited(**limits):
    """What sets limits of a process, in the process itself."""

    def limit():
        for name, most in limits.items():
            resource.setrlimit(getattr(resource, name), (most, most))

    return limit


def measured(code, out, err):
    """Check that a run measured its case, without a traceback."""
    assert code == 0, err
    assert "Traceback" not in err
    (row,) = json.loads(out)["tables"]["measurements"]
    assert row["status"] == "measured"


@pytest.mark.parametrize(
    "surroundings",
    [
        {"variables": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}},
        {"python": ("-W", "error")},
        {"preexec_fn": limited(RLIMIT_NOFILE=256)},
        {"preexec_fn": limited(RLIMIT_DATA=6_000_000 * 1024)},
        {"variables": {"HOME": "/nowhere/at/all"}},
        {"variables": {"TF_USE_LEGACY_KERAS": "1"}},
    ],
    ids=["ASCII", "warnings are errors", "descriptors", "memory", "home", "legacy Keras"],
)
def test_a_model_is_measured(folder, surroundings):
    """That prints, warns, and needs none of it."""
    measured(*harness(folder, *RUN, "net.py:build", **surroundings))


def test_a_long_folder_for_temporary_files_does_no_harm(folder):
    """Longer than the path of a socket may be."""
    long = folder / ("x" * 120)
    long.mkdir()
    measured(*harness(folder, *RUN, "net.py:build", variables={"TMPDIR": str(long)}))


def readable_python():
    """A Python of the same version that everybody may run, and the folder of the packages."""
    packages = sysconfig.get_paths()["purelib"]
    version = "python{}.{}".format(*sys.version_info)
    system = Path("/usr/bin") / version
    if not system.is_file():
        pytest.skip(f"there is no {system} for another user")
    if any(not path.stat().st_mode & 0o001 for path in Path(packages).parents):
        pytest.skip("another user may not read the packages")
    return system, packages


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_user_without_a_name_and_a_home_is_served(folder):
    """As in a container that is started with a number."""
    options = {"user": UNKNOWN, "group": UNKNOWN, "extra_groups": []}
    python, packages = readable_python()
    kept = {"PYTHONDONTWRITEBYTECODE": "1"}
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{packages}", **kept}
    done = subprocess.run(
        [python, "-m", "harness", *RUN, "net.py:build"],
        env=env,
        cwd=folder,
        capture_output=True,
        check=False,
        **options,
    )
    measured(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_legacy_keras_is_a_row_that_names_it(folder):
    """It is not measured, and the line says what to do."""
    variables = {"TF_USE_LEGACY_KERAS": "1"}
    backend = ("--backend", "tensorflow")
    code, out, _ = harness(folder, *RUN, *backend, "net.py:legacy", variables=variables)
    assert code == 1
    (failure,) = json.loads(out)["failures"]
    assert "asks for legacy Keras by TF_USE_LEGACY_KERAS; only Keras 3 is measured" in str(failure)


def test_files_of_odd_names_are_measured(folder):
    """And written whole."""
    names = ["a,b.py", "two [2] words.py", "März#1.py", "code.py", "sparse.py"]
    for name in names:
        (folder / name).write_text(MODEL, encoding="utf-8")
    code, out, err = harness(folder, *RUN, *(f"{name}:build" for name in names))
    assert code == 0, err
    rows = json.loads(out)["tables"]["measurements"]
    assert {row["variant"] for row in rows} == {f"{name}:build" for name in names}
    assert {row["status"] for row in rows} == {"measured"}


def test_a_module_is_found_however_the_command_is_started(folder):
    """By `python -m harness`, by its script, and by pytest with a path of its own."""
    package = folder / "src" / "nets"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "parts.py").write_text(MODEL, encoding="utf-8")
    (package / "net.py").write_text("from .parts import build, data\n")
    measured(*harness(folder / "src", *RUN, "nets.net:build"))
    script = Path(sys.executable).with_name("harness")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    if script.is_file():
        done = subprocess.run(
            [script, *RUN, "nets.net:build"],
            cwd=folder / "src",
            env=env,
            capture_output=True,
            check=False,
        )
        measured(done.returncode, done.stdout.decode(), done.stderr.decode())
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = src\n")
    (folder / "test_it.py").write_text(
        "def test_it(train):\n    train('nets.net:build', batch_size=8)\n"
    )
    plugin = ("-p", "harness.commands.plugin.hooks") if not script.is_file() else ()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-q", "--train-effort=quick"],
        cwd=folder,
        env=env,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()[-2000:]
    assert "1 passed" in done.stdout.decode()
