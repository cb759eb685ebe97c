"""What a worker may do wrong at every stage: a row with its reason, and the next case is measured.

Each model tells from the stack of the worker's main thread at which stage it is, and goes wrong
at the one that it was given.
"""

import contextlib
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness.measure.group import NO_WISH
from harness.measure.machine import cgroup
from harness.records import Case, Failure, Measurement

pytestmark = pytest.mark.slow

STAGES = ("import", "build", "warm_up", "round", "fit")
FATES = {
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "ended by SIGKILL during"),
    "SIGSEGV": ("os.kill(os.getpid(), signal.SIGSEGV)", "killed", "ended by SIGSEGV during"),
    "os._exit": ("os._exit(3)", "error", "the worker exited with 3 during"),
}
MODEL = """
import os, signal, subprocess, sys, threading, time
import keras
import tensorflow as tf
from keras import layers

STAGE = {stage!r}

def fate():
    {fate}

def stage():
    frame, names = sys._current_frames()[threading.main_thread().ident], set()
    while frame:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return names

def strike():
    if STAGE in stage():
        print("last words of", STAGE, flush=True)
        fate()
    return 0.0

class Model(keras.Model):
    def train_step(self, data):
        tf.numpy_function(strike, [], tf.float64)
        return super().train_step(data)

def build():
    if STAGE == "build":
        print("last words of build", flush=True)
        fate()
    inputs = keras.Input((28, 28, 1))
    outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(inputs))
    model = Model(inputs, outputs)
    model.compile("sgd", "categorical_crossentropy")
    return model

if STAGE == "import":
    print("last words of import", flush=True)
    fate()
"""
HEALTHY = Case("improved", "synthetic", 16)


@pytest.fixture
def strike(tmp_path):
    """Write a model that meets its fate at a stage; return its case."""

    def write(stage, fate):
        file = tmp_path / "mine.py"
        file.write_text(MODEL.format(stage=stage, fate=fate))
        return Case(f"{file}:build", "synthetic", 32)

    return write


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fate", FATES)
def test_a_worker_that_ends_at_any_stage_is_a_row_and_the_next_case_starts(
    make_runner, strike, stage, fate
):
    """With the signal or the exit code, and the last that it printed."""
    code, kind, message = FATES[fate]
    runner = make_runner()
    case = strike(stage, code)
    failure = runner.measure(case, case)
    assert isinstance(failure, Failure)
    assert (kind, True) == (failure.kind, message in failure.message), failure.message
    assert f"last words of {stage}" in failure.log_tail
    assert isinstance(runner.measure(HEALTHY, HEALTHY), Measurement)
    assert [failure, runner.run().outcomes[1]] == list(runner.run().outcomes)


@pytest.mark.parametrize("stage", ["build", "round", "fit"])
@pytest.mark.parametrize("fate", ["SIGKILL", "timeout"])
def test_a_member_of_a_group_that_ends_takes_only_its_own_row(make_runner, strike, stage, fate):
    """The workers beside it go on to their last block."""
    code, kind, _ = FATES.get(fate, ("time.sleep(600)", "timeout", ""))
    runner = make_runner(**({"timeout_seconds": 5.0} if fate == "timeout" else {}))
    broken, other = strike(stage, code), dataclasses.replace(HEALTHY, batch_size=32)
    wanted = [(HEALTHY, HEALTHY), (broken, HEALTHY), (other, HEALTHY)]
    runner.measure_group(dict.fromkeys(wanted, NO_WISH))
    found = {outcome.case: outcome for outcome in runner.run().outcomes}
    assert found[broken].kind == kind, found[broken].message
    blocks = runner.run().protocol.blocks
    for case in (HEALTHY, other):
        assert {a_round.block for a_round in found[case].rounds} == set(range(blocks))


@pytest.mark.parametrize(
    ("stage", "fate"),
    list(zip(STAGES, ["while True: pass", "time.sleep(600)"] * 3, strict=False)),
)
def test_a_worker_that_is_silent_is_ended_at_any_stage(make_runner, strike, stage, fate):
    """Whether it computes meanwhile or not."""
    case = strike(stage, fate)
    failure = make_runner(timeout_seconds=3.0).measure(case, case)
    assert isinstance(failure, Failure)
    assert (failure.kind, True) == ("timeout", "silent for 3 s" in failure.message)
    assert f"last words of {stage}" in failure.log_tail


def test_a_flood_of_output_is_cut_and_its_end_kept(make_runner, strike, launcher, monkeypatch):
    """The log takes no more room than a few times its limit, and the flood is no failure."""
    monkeypatch.setattr("harness.measure.workers.worker_log.MOST_BYTES", 2**18)
    monkeypatch.setattr("harness.measure.workers.worker_process._SLICE_SECONDS", 0.05)
    flood = "for i in range(200_000): print('x' * 80, flush=i % 100 == 0)\n    print('the end')"
    runner = make_runner()
    assert isinstance(runner.measure(*[strike("build", flood)] * 2), Measurement)
    failing = strike("build", flood + "\n    raise RuntimeError('now')")
    failing = dataclasses.replace(failing, batch_size=64)
    failure = runner.measure(failing, failing)
    assert "now" in failure.message
    assert "the end" in failure.log_tail
    assert len(failure.log_tail) <= 4096


def test_garbage_on_its_streams_harms_nothing(make_runner, strike):
    """Bytes that are no text, on stdout and stderr."""
    garbage = "os.write(1, bytes(range(256)) * 9); os.write(2, bytes(range(256)) * 9)"
    assert isinstance(make_runner().measure(*[strike("build", garbage)] * 2), Measurement)


def test_garbage_on_every_descriptor_is_a_row(make_runner, strike):
    """A model that writes to descriptors which are not its own spoils its case alone."""
    garbage = """
    import contextlib
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(number, b"]garbage\\n")
    """
    runner = make_runner(timeout_seconds=20.0)
    failure = runner.measure(*[strike("build", garbage)] * 2)
    assert isinstance(failure, Failure)
    assert "channel" in failure.message
    assert isinstance(runner.measure(HEALTHY, HEALTHY), Measurement)


CHILDREN = """
    marker = {marker!r}
    # One child; one that has left group, session and parent behind; one without exec.
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", marker])
    if os.fork() == 0:
        os.setsid()
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", marker])
        os._exit(0)
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    print("children started", flush=True)
    {end}
"""


def alive(marker):
    """Processes that have the marker among their arguments."""
    running = psutil.process_iter(["cmdline"])
    return [process for process in running if marker in (process.info["cmdline"] or [])]


@pytest.mark.parametrize(
    "end",
    ["pass", "os.kill(os.getpid(), signal.SIGKILL)", "time.sleep(600)"],
    ids=["goes on", "is killed", "hangs"],
)
def test_the_whole_process_tree_of_a_worker_is_ended(make_runner, launcher, strike, tmp_path, end):
    """Children, daemons that have left their session, forks without exec; however it ends."""
    marker = f"marker-of-{tmp_path.name}"
    case = strike("build", CHILDREN.format(marker=marker, end=end))
    make_runner(timeout_seconds=5.0).measure(case, case)
    deadline = time.monotonic() + 10
    while alive(marker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(marker) == []
    for server in launcher._servers.values():  # one a backend that a test has used
        below = psutil.Process(server.pid).children()
        assert [process for process in below if process.status() != "zombie"] == []


def test_a_loss_that_becomes_nan_is_diverged(make_runner, tmp_path):
    """Not a number is no time of a training; the message says when."""
    file = tmp_path / "mine.py"
    text = MODEL.format(stage="round", fate="pass").replace(
        "return super().train_step(data)",
        "found = super().train_step(data)\n"
        "        bad = tf.numpy_function(lambda: float('nan') if STAGE in stage() else 0.0, [], "
        "tf.float64)\n"
        "        return {'loss': found['loss'] + tf.cast(tf.reshape(bad, ()), tf.float32)}",
    )
    file.write_text(text)
    case = Case(f"{file}:build", "synthetic", 32)
    failure = make_runner().measure(case, case)
    assert isinstance(failure, Failure)
    assert (failure.kind, True) == ("diverged", "the loss became nan" in failure.message)


def test_an_allocation_that_cannot_be_had_is_oom_with_what_was_in_use(make_runner, strike):
    """NumPy's own error, with what was in use and what was free."""
    case = strike("build", "import numpy; numpy.ones((2**44,))")
    failure = make_runner().measure(case, case)
    assert (failure.kind, True) == ("oom", "were in use" in failure.message), failure.message
    assert "free" in failure.message


def test_an_absurd_batch_is_oom(make_runner, tmp_path):
    """In TensorFlow's own words: one layer's output is larger than a process can address.

    Where a limit is set instead (a search for batch sizes sets one), TensorFlow may end by SIGSEGV,
    by which allocation is refused; a search takes that for want of memory, too.
    """
    file = tmp_path / "mine.py"
    text = MODEL.format(stage="nowhere", fate="pass")
    text = text.replace(
        "layers.Flatten()(inputs)",
        "layers.GlobalAveragePooling1D()(layers.RepeatVector(2**20)(layers.Flatten()(inputs)))",
    )
    assert "RepeatVector" in text
    file.write_text(text)
    case = Case(f"{file}:build", "synthetic", 60_000)
    failure = make_runner().measure(case, case)
    assert isinstance(failure, Failure)
    assert (failure.kind, True) == ("oom", "in use" in failure.message), failure.message


def test_the_parents_own_limits_are_untouched(make_runner):
    """What a model limits, it limits in its worker."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(Exception):
        make_runner().measure(HEALTHY, HEALTHY)
    assert before == resource.getrlimit(resource.RLIMIT_AS)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def new_group():
    """Make a group of 800 MiB below this process's own; None where that is not allowed."""
    name = f"harness-test-{os.getpid()}"
    for controller, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        folder = next(cgroup._folders(controller)) / name
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                (folder / limit).write_text(str(800 * 2**20))
            except OSError:
                folder.rmdir()
            else:
                return folder
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a control group")
def test_a_worker_that_the_kernel_ends_for_memory_is_oom(tmp_path):
    """In a control group that holds the whole run; the run itself goes on."""
    group = new_group()
    if group is None:
        pytest.skip("no control group can be made here")
    file = tmp_path / "mine.py"
    grow = "import numpy; held = [numpy.ones(2**26, numpy.uint8) for _ in range(64)]"
    file.write_text(MODEL.format(stage="build", fate=grow))
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "harness", "run", str(file) + ":build"),
                *("--batch-sizes", "8", "--effort", "quick", "--json"),
            ],
            cwd=tmp_path,
            preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                group.rmdir()
                break
    assert done.returncode == 1, done.stderr
    (row,) = json.loads(done.stdout)["tables"]["measurements"]
    assert row["status"] == "oom"
    assert "memory ran out: 800 MiB in all; its last reading was" in row["reason"]
