"""A run that is killed: nothing measured is lost, no process is left, it can be gone on with."""

import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness.analyze.cautions import of_measurement
from harness.records import journal, run_file

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("signals_as_in_a_terminal")]

# Torch is imported in half of the time, and every run here imports its framework.
BACKEND = "torch" if importlib.util.find_spec("torch") else "tensorflow"
SUITE = """
import pytest

@pytest.mark.parametrize("size", [16, 32])
def test_it(train, size):
    train("improved", batch_size=size)
"""


def command(*more):
    options = ["--train-dataset", "synthetic", "--train-effort", "quick", "--train-steps", "1"]
    options += ["--train-backend", BACKEND]
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, *more]


def entries(folder, kind):
    return [entry for entry in journal.read(folder) if entry["kind"] == kind]


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


RUN = [
    *(sys.executable, "-m", "harness", "run", "improved", "--dataset", "synthetic"),
    *("--batch-sizes", "16,32", "--effort", "quick", "--steps", "1", "--backend", BACKEND),
]
LONGEST = 6.0 if BACKEND == "torch" else 10.0  # seconds until a run is ended
ENDS = {signal.SIGINT: 130, signal.SIGTERM: 130, signal.SIGHUP: 130, signal.SIGKILL: -9}
TRIES = 20


def test_a_run_that_is_ended_at_random_moments_loses_nothing(tmp_path):
    """Twenty times, by four signals: what stood in the journal stays, no process is left.

    Each try goes on with the run of the one before, as long as that is not complete.
    """
    rng = random.Random(6)
    results = tmp_path / "results" / "runs"
    interrupted = started = 0
    while interrupted < TRIES:
        started += 1
        assert started <= 3 * TRIES, "runs end too soon to be interrupted, or not when told to"
        number = list(ENDS)[interrupted % len(ENDS)]
        folders = sorted(results.iterdir()) if results.exists() else []
        before = (folders[-1] / "journal.jsonl").read_bytes() if folders else b""
        finished = b'"kind": "outcome"' in before and before.count(b'"kind": "outcome"') == 2
        resume = ["--resume"] if before and not finished else []
        with subprocess.Popen(
            [*RUN, *resume],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as run:
            family = []
            deadline = time.monotonic() + rng.uniform(0.5, LONGEST)
            while time.monotonic() < deadline and run.poll() is None:
                time.sleep(0.05)
                family = psutil.Process(run.pid).children(recursive=True) or family
            ended = run.poll()
            if ended is None:
                run.send_signal(number)
            shown, _ = run.communicate(timeout=60)
        if ended is None and run.returncode not in {0, 2}:
            interrupted += 1
            # -number: before Python was there. -SIGINT, which a shell calls 130: under `-m` Python
            # ends itself so where text was being executed, as dataclasses do it, whoever caught
            # the interrupt (`unhandled_keyboard_interrupt` in its pythonrun.c).
            assert run.returncode in {ENDS[number], -number, -signal.SIGINT}, shown
        else:
            assert run.returncode in {0, 2}, shown  # it was done, or nothing was there to resume
        assert "Traceback" not in shown, shown
        _, alive = psutil.wait_procs(family, timeout=20)
        assert alive == []
        if resume:
            assert (folders[-1] / "journal.jsonl").read_bytes().startswith(before)
        for folder in results.iterdir() if results.exists() else ():
            damaged = []
            if (folder / "journal.jsonl").exists():
                list(journal.read(folder, damaged.append))
                assert len(damaged) <= interrupted, "nothing but a torn last line a try"
            if (folder / "run.json").exists():
                run_file.read(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_pytest_ends_in_order_and_saves_what_was_measured(tmp_path, number):
    """The tables are shown, pytest-benchmark's own file holds the finished test."""
    (tmp_path / "test_it.py").write_text(SUITE)
    saving = ["-s", "--benchmark-autosave", "--benchmark-storage=file://./saved"]
    with subprocess.Popen(
        command(*saving),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as run:
        shown = ""
        for line in run.stdout:
            shown += line
            if "[2/2]" in line:
                break
        run.send_signal(number)
        rest, _ = run.communicate(timeout=60)
    assert run.returncode == pytest.ExitCode.INTERRUPTED, rest
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    how = "the same command with --train-resume measures the rest."
    assert rest.splitlines()[-1] == f"Interrupted{by}: {how}"
    (saved,) = (tmp_path / "saved").glob("**/*.json")
    assert len(json.loads(saved.read_text())["benchmarks"]) == 1


def test_what_a_model_has_started_ends_with_a_parent_that_is_killed(tmp_path):
    """Daemons among it: the server ends them before itself."""
    (tmp_path / "mine.py").write_text(DAEMON)
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "harness", "run", "mine.py:build", "--batch-sizes", "8"),
            *("--effort", "quick", "--timeout", "120"),
        ],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        deadline = time.monotonic() + 60
        while not (tmp_path / "daemon").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.2)
        daemon = psutil.Process(int((tmp_path / "daemon").read_text()))
        family = psutil.Process(run.pid).children(recursive=True)
        run.kill()
    _, alive = psutil.wait_procs([daemon, *family], timeout=20)
    assert alive == []


DAEMON = """
import os, subprocess, sys, time

def build():
    if os.fork() == 0:
        os.setsid()
        daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open("daemon.part", "w") as file:
            file.write(str(daemon.pid))
        os.replace("daemon.part", "daemon")
        os._exit(0)
    time.sleep(600)
"""


def limited(bytes_of_a_file):
    """A run in a process whose files may have so many bytes: a disk that is full."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_of_a_file, bytes_of_a_file))

    return limit


def test_a_full_disk_is_one_line_and_what_was_written_can_be_gone_on_with(tmp_path):
    """The journal's last line is torn; it is told when the run is gone on with."""
    # Where these tests are watched by coverage, what it could not write would be told, too.
    alone = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    done = subprocess.run(
        RUN,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=alone,
        preexec_fn=limited(6000),
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "cannot write" in done.stderr.splitlines()[-1]
    assert "--resume" in done.stderr.splitlines()[-1]
    again = subprocess.run(
        [*RUN, "--resume"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    assert len(entries(folder, "outcome")) == 2


def begun(tmp_path):
    """Wait until a run has its journal; return its folder."""
    results, deadline = tmp_path / "results" / "runs", time.monotonic() + 60
    while not list(results.glob("*/journal.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return next(results.iterdir())


def test_an_output_folder_that_is_removed_meanwhile_is_one_line(tmp_path):
    """Not a run that measures on into nothing."""
    with subprocess.Popen(
        RUN, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        shutil.rmtree(begun(tmp_path).parent)
        _, errors = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "Traceback" not in errors
    assert "the file has been removed" in errors.splitlines()[-1]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda run: run.rename(run.with_name("moved")), id="moved"),
        pytest.param(
            lambda run: run.chmod(0o555),
            id="read-only",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere"),
        ),
    ],
)
def test_a_run_whose_folder_can_be_written_no_more_keeps_its_journal(tmp_path, spoil):
    """One line at the end of the comparison, whose outcome is in the journal that is still open."""
    with subprocess.Popen(
        RUN, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        spoil(begun(tmp_path))
        _, errors = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "Traceback" not in errors
    assert "cannot write" in errors.splitlines()[-1]
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    assert len(entries(folder, "outcome")) == 1


def test_two_runs_at_once_are_told_in_both(tmp_path):
    """Each has a folder of its own and the caution."""
    runs = [
        subprocess.Popen(
            [*RUN, "--effort", "default", "--max-minutes", "0.3"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    for run in runs:
        shown, _ = run.communicate(timeout=300)
        assert run.returncode == 0, shown
    folders = list((tmp_path / "results" / "runs").iterdir())
    assert len(folders) == 2
    for folder in folders:
        found = run_file.read(folder)
        told = [c.doubt for m in found.outcomes for c in of_measurement(m, found.protocol)]
        assert "another run of this harness was on the machine meanwhile" in told


def test_a_run_that_is_being_measured_is_not_gone_on_with_by_another(tmp_path):
    """Its journal is locked."""
    writer = journal.Journal.open(tmp_path)
    code = (
        "import sys; from pathlib import Path; from harness.records.journal import Journal\n"
        "Journal.open(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "another process is measuring into" in done.stderr
    writer.close()
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == 0
