"""A real Open MPI starts the documented line; without an option it binds to one core."""

import importlib.util
import re
import shutil
import subprocess
import sys

import jobs
import pytest

from harness.measure.machine.facts import usable_cpus

# Torch is imported in half of the time.
BACKEND = "torch" if importlib.util.find_spec("torch") else "jax"
CPUS = len(usable_cpus())
SMALL = "--train-effort quick --train-steps 1 --train-variants improved --train-batch-sizes 16"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("mpirun") is None, reason="no mpirun: apt-get install openmpi-bin"
    ),
]


def alone():
    """What starts a command that does not see the runs of other tests; empty if not permitted."""
    words = ["unshare", "--pid", "--fork", "--mount-proc"]
    if shutil.which(words[0]) and not subprocess.run([*words, "true"], check=False).returncode:
        return " ".join(words) + " "
    return ""


def run(command):
    as_root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return jobs.run(command, jobs.environment(**as_root))


def test_the_documented_line_trains_on_two_hosts_with_all_cpus(tmp_path):
    """Two processes of one machine here."""
    pytest.importorskip("jax")
    text = (jobs.ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^mpirun .*hosts auto$", text, re.MULTILINE)
    line = line.replace("node01", "127.0.0.1").replace("mpirun ", "mpirun --oversubscribe ")
    unseen = alone()
    code, shown = run(f"{unseen}{line} {SMALL} --train-output={tmp_path}")
    assert code == 0, shown
    found = jobs.table(tmp_path, "scaling")
    assert {row["kind"] for row in found} == {"strong", "weak"}
    assert {row["threads"] for row in found} == {str(CPUS)}
    assert "lets this process use" not in shown
    if unseen:
        assert "another run of this harness" not in shown, "the other host is no other run"


@pytest.mark.skipif(CPUS < 2, reason="there is nothing to hold back")
def test_one_core_is_told_at_first_and_in_the_table(tmp_path):
    """What Open MPI gives a process of one or two by default."""
    measured = f"run improved --dataset synthetic --batch-sizes 16 --backend {BACKEND} --steps 1"
    line = f"mpirun -np 1 {sys.executable} -m harness {measured} --effort quick"
    code, shown = run(f"{line} --output {tmp_path}")
    assert code == 0, shown
    assert re.search(
        rf"Open MPI lets this process use \d of the {CPUS} CPUs .*; add --bind-to none to mpirun",
        shown,
    )
    (row,) = jobs.table(tmp_path, "measurements")
    assert "Open MPI lets this process use" in row["cautions"]
