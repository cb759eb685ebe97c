"""A real Slurm of two nodes: the documented lines, binding, arrays, preemption, a lost node."""

import csv
import importlib.util
import re
import shlex
import signal
import subprocess
import sys
import time

import jobs
import psutil
import pytest
import slurm

from harness.measure.machine.facts import usable_cpus
from harness.records import journal, run_file

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("signals_as_in_a_terminal")]
ROOT = jobs.ROOT
CPUS = len(usable_cpus())
# Small, so that starting is most of it.
SMALL = "--train-effort quick --train-steps 1 --train-variants improved --train-batch-sizes 16"
# Torch is imported in half of the time.
BACKEND = "torch" if importlib.util.find_spec("torch") else "jax"
ONE = f"run improved --dataset synthetic --batch-sizes 16 --backend {BACKEND} --steps 1"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The variables of a job's shell."""
    if reason := slurm.missing():
        pytest.skip(reason)
    pytest.importorskip("jax")
    with slurm.cluster(tmp_path_factory.mktemp("slurm") / "two") as variables:
        yield jobs.environment(SLURM_CONF=variables["SLURM_CONF"])


def documented(starter):
    """The line of docs/scaling.md that begins so, for the machine of this test."""
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^{starter} .*hosts auto$", text, re.MULTILINE)
    return line.replace("-c 64", f"-c {CPUS}")


def run(cluster, command):
    return jobs.run(command, cluster)


def entries(folder, kind):
    return [
        entry
        for path in folder.glob("runs/*")
        if (path / journal.NAME).exists()
        for entry in journal.read(path)
        if entry["kind"] == kind
    ]


def wait_for(happened, seconds=300):
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
    return found


def test_the_documented_line_trains_on_two_nodes_with_all_cpus(cluster, tmp_path):
    """And nothing is held back."""
    line = f"{documented('srun')} {SMALL} --train-output={tmp_path} -s"
    code, shown = run(cluster, line)
    assert code == 0, shown
    rows = jobs.table(tmp_path, "scaling")
    assert {row["kind"] for row in rows} == {"strong", "weak"}
    assert {row["threads"] for row in rows} == {str(CPUS)}
    assert "lets this process use" not in shown
    assert "host 1 of 2: follows n1 (Slurm)" in shown
    assert "workers trained; the first one reports" in shown
    assert not list(tmp_path.glob("*.key"))


@pytest.mark.skipif(CPUS < 2, reason="there is nothing to hold back")
def test_one_cpu_of_a_node_is_told_at_first_and_in_the_table(cluster, tmp_path):
    """What Slurm gives a task by default."""
    line = f"srun {sys.executable} -m harness {ONE} --effort quick"
    code, shown = run(cluster, f"{line} --output {tmp_path}")
    assert code == 0, shown
    told = rf"Slurm lets this process use 1 of the {CPUS} CPUs .*; add -c {CPUS} to srun or sbatch"
    first = next(one for one in shown.splitlines() if not one.startswith("srun: "))
    assert re.search(told, first)
    (row,) = jobs.table(tmp_path, "measurements")
    assert row["threads"] == "1"
    assert "Slurm lets this process use 1 of" in row["cautions"]


def test_an_array_into_one_folder_is_one_page(cluster, tmp_path):
    """As documented; both tasks are of one kind of machine."""
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^sbatch --array.*$", text, re.MULTILINE)
    line = line.replace("-c 64", f"-c {CPUS}").replace("0-7", "0-1%1")
    suite = f"suites/test_batch_size.py {SMALL} --train-backend {BACKEND}"
    line = line.replace("suites/test_batch_size.py", suite).replace("fleet/", f"{tmp_path}/")
    code, shown = run(cluster, line.replace("sbatch ", f"sbatch --wait -o {tmp_path}/%a.log "))
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert code == 0, shown + logs
    (line,) = re.findall(r"^python -m (harness compare .*?)(?: --prices.*)?$", text, re.MULTILINE)
    page = tmp_path / "fleet.html"
    line = line.replace("fleet.html", str(page)).replace("fleet/*", f"{tmp_path}/0 {tmp_path}/1")
    code, shown = run(cluster, f"{sys.executable} -m {line}")
    assert code == 0, shown
    with page.with_suffix(".csv").open(encoding="utf-8") as file:
        assert {row["runs"] for row in csv.DictReader(file)} == {"2"}


def documented_script(folder):
    """The one of docs/scaling.md, with a run that is short."""
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^#!/bin/bash\n.*?^srun .*?$", text, re.MULTILINE | re.DOTALL)
    short = f"{sys.executable} -m harness {ONE} --output {folder} --resume auto"
    assert "pytest suites/ --train-resume auto" in script
    script = script.replace("pytest suites/ --train-resume auto", short)
    return script.replace("-c 64", f"-c {CPUS}") + "\n"


@pytest.fixture
def job(cluster, tmp_path):
    """A job whose run is in its second block, or later; its number and its log."""
    script, log = tmp_path / "job.sh", tmp_path / "log"
    script.write_text(documented_script(tmp_path / "results"))
    _, number = run(cluster, f"sbatch --parsable -c {CPUS} -o {log} {script}")
    wait_for(lambda: entries(tmp_path / "results", "block"))
    yield int(number), log
    run(cluster, f"scancel {int(number)}")


def test_a_job_that_is_queued_again_goes_on_with_its_run(cluster, tmp_path, job):
    """One script, one run: what was measured before is not measured again."""
    number, log = job
    assert run(cluster, f"scontrol requeue {number}")[0] == 0
    wait_for(
        lambda: "Interrupted by SIGTERM: the same command measures the rest." in log.read_text()
    )
    before = len(entries(tmp_path / "results", "block"))
    assert before >= 1
    wait_for(lambda: entries(tmp_path / "results", journal.END))
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    assert f"goes on with {folder}" in log.read_text()
    (outcome,) = run_file.read(folder).outcomes
    assert len({a_round.block for a_round in outcome.rounds}) >= 3
    assert "Traceback" not in log.read_text()


def test_a_job_that_is_cancelled_says_how_to_go_on(cluster, tmp_path, job):
    """After the tables of what there is."""
    number, log = job
    run(cluster, f"scancel {number}")
    wait_for(lambda: "Interrupted by SIGTERM" in log.read_text())
    said = [line for line in log.read_text().splitlines() if not line.startswith("srun:")]
    assert said[-1] == "Interrupted by SIGTERM: the same command measures the rest."
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    assert (folder / "tables" / "measurements.csv").exists()


def test_a_node_that_is_lost_is_a_row_with_its_name(cluster, tmp_path):
    """The first node measures on without it, and does not wait for ever."""
    options = f"{SMALL} --train-output={tmp_path} --train-timeout 45 -s"
    line = documented("srun").replace("srun ", "srun --no-kill --kill-on-bad-exit=0 ")
    with subprocess.Popen(
        shlex.split(f"{line} {options}"),
        cwd=ROOT,
        env=cluster,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as srun:
        wait_for(lambda: entries(tmp_path, "round"))
        _kill_second()
        shown, _ = srun.communicate(timeout=500)
    assert srun.returncode != 0
    assert "host 1 (n2) is lost" in shown
    (folder,) = tmp_path.glob("runs/*")
    failures = [o for o in run_file.read(folder).outcomes if hasattr(o, "message")]
    assert failures
    assert all("it did not come back within" in failure.message for failure in failures)


def _kill_second():
    """End the follower with all that it started, as a node that goes down."""
    for process in psutil.process_iter(["environ", "cmdline"]):
        environ = process.info["environ"] or {}
        if environ.get("SLURMD_NODENAME") == "n2" and "pytest" in " ".join(process.info["cmdline"]):
            process.send_signal(signal.SIGKILL)
