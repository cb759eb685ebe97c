"""What a starter holds back of a machine is said, with the option that gives all of it."""

import pytest

from harness.measure.machine import facts, starter

GIB = 2**30
ALL = {"cpus": (8, 8), "memory": (None, 64 * GIB), "gpus": (4, 4)}
SLURM = {"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "2", "SLURM_JOB_CPUS_PER_NODE": "2(x2)"}
MPI = {"OMPI_COMM_WORLD_SIZE": "2"}


def said(environ, **changes):
    return [
        (part.what, part.advice) for part in starter.withheld(**{**ALL, **changes}, environ=environ)
    ]


@pytest.mark.parametrize("environ", [{}, SLURM, MPI, {**MPI, **SLURM}])
def test_a_whole_machine_is_nothing_to_speak_of(environ):
    """Nor is a part of one where nothing is known to have started the process."""
    assert said(environ) == []
    assert said({}, cpus=(1, 8), memory=(GIB, 64 * GIB)) == []


def test_slurm_binds_a_task_to_fewer_cpus_than_its_job_has():
    """The option gives those of the job."""
    assert said({**SLURM, "SLURM_JOB_CPUS_PER_NODE": "6(x2)"}, cpus=(1, 8)) == [
        (
            "Slurm lets this process use 1 of the 6 CPUs of its job on this machine",
            "add -c 6 to srun or sbatch",
        )
    ]


def test_a_job_of_a_part_of_the_machine_is_told_of_the_machine():
    """What else runs there is not known."""
    ((what, advice),) = said(SLURM, cpus=(2, 8))
    assert what == "Slurm lets this process use 2 of the 8 CPUs of this machine"
    assert advice == "add -c 8 to srun or sbatch"


def test_open_mpi_within_slurm_is_what_binds():
    """It started the process."""
    ((what, advice),) = said({**SLURM, **MPI}, cpus=(1, 8))
    assert what.startswith("Open MPI lets this process use 1 of the 8 CPUs")
    assert advice == "add --bind-to none to mpirun"


@pytest.mark.parametrize(
    ("environ", "limit", "told"),
    [
        ({"SLURM_MEM_PER_NODE": "2048"}, None, "2048 MiB"),
        ({"SLURM_MEM_PER_NODE": "0"}, None, None),
        ({"SLURM_MEM_PER_CPU": "512"}, None, "1024 MiB"),
        ({"SLURM_MEM_PER_NODE": "65536"}, None, None),
        ({}, 3 * GIB, "3072 MiB"),
        ({"SLURM_MEM_PER_NODE": "2048"}, 3 * GIB, "2048 MiB"),
    ],
)
def test_memory_that_slurm_limits_is_told(environ, limit, told):
    """By its variables, or by the cgroup."""
    found = said({**SLURM, **environ}, memory=(limit, 64 * GIB))
    assert [told in what for what, _ in found] == [True] * bool(told)
    assert all(advice == "add --mem=0 to srun or sbatch" for _, advice in found)


def test_a_search_takes_no_more_memory_than_slurm_gives(monkeypatch):
    """Though the machine has more."""
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    assert facts.memory_available() == 100 * 2**20


def test_gpus_that_are_hidden_are_told():
    """If the starter, and not the user alone, may have hidden them."""
    environ = {**SLURM, "CUDA_VISIBLE_DEVICES": "0"}
    ((what, advice),) = said(environ, gpus=(1, 4))
    assert what == "Slurm shows this process 1 of the 4 GPUs of the machine"
    assert advice == "add --gpus-per-task=4 to srun or sbatch"
    assert said(SLURM, gpus=(0, 4)) == [], "it has hidden none"
