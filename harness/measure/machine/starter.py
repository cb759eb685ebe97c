"""What started this process, and what of the machine that starter holds back: CPUs, memory, GPUs.

Schedulers bind a process to one CPU unless an option says otherwise, so a whole node may be
measured with one thread. See srun(1), mpirun(1), and the variables that both set.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness import units
from harness.records import Withheld

_ALL = 0.95  # of the memory; the kernel keeps a part of the rest


@dataclass(frozen=True, slots=True)
class Starter:
    """A program that starts processes of a job, with the options that give one a whole machine."""

    name: str
    variable: str  # set in each process that it starts
    cpus: str  # N is their number
    memory: str = ""
    gpus: str = ""


_STARTERS = (  # the innermost first: Open MPI may run within a job of Slurm
    Starter("Open MPI", "OMPI_COMM_WORLD_SIZE", "add --bind-to none to mpirun"),
    Starter(
        "Slurm",
        "SLURM_JOB_ID",
        "add -c N to srun or sbatch",
        "add --mem=0 to srun or sbatch",
        "add --gpus-per-task=N to srun or sbatch",
    ),
    Starter(
        "Kubernetes",
        "KUBERNETES_SERVICE_HOST",
        "raise the pod's limit of cpu to N",
        "raise the pod's limit of memory",
        "raise the pod's limit of nvidia.com/gpu to N",
    ),
)


def find(environ: Mapping[str, str] = os.environ) -> Starter | None:
    """Return what started this process; None where it is not known."""
    return next((starter for starter in _STARTERS if starter.variable in environ), None)


def memory_limit(environ: Mapping[str, str] = os.environ) -> int | None:
    """Return the memory in bytes that Slurm gives a job on this node; None for all of it."""
    per_node, per_cpu = (_number(environ.get(f"SLURM_MEM_PER_{what}")) for what in ("NODE", "CPU"))
    if per_node is not None:
        return per_node * 2**20 or None  # 0: all
    cpus = _number(environ.get("SLURM_CPUS_ON_NODE"))
    return per_cpu * cpus * 2**20 if per_cpu and cpus else None


def withheld(
    cpus: tuple[int, int],
    memory: tuple[int | None, int],
    gpus: tuple[int, int],
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Withheld]:
    """Say what the starter of this process holds back; nothing where none is known.

    Each pair is what the process may use and what the machine has; memory is in bytes, None where
    it is not limited.
    """
    starter = find(environ)
    if starter is None:
        return
    usable, there = cpus
    if usable < there:
        in_job = _number(environ.get("SLURM_JOB_CPUS_PER_NODE")) if starter.name == "Slurm" else 0
        whose = "of its job on this machine"
        if in_job is None or in_job <= usable:  # the job has no more
            in_job, whose = there, "of this machine"
        what = f"{starter.name} lets this process use {usable} of the {in_job} CPUs {whose}"
        yield Withheld(what, starter.cpus.replace("N", str(in_job)))
    limit = min((one for one in (memory[0], memory_limit(environ)) if one), default=None)
    if limit is not None and limit < _ALL * memory[1]:
        given, of = map(units.mebibytes, (limit, memory[1]))
        what = f"{starter.name} lets this process use {given} of the memory of this machine ({of})"
        yield Withheld(what, starter.memory or "ask the scheduler for more")
    visible, installed = gpus
    if visible < installed and "CUDA_VISIBLE_DEVICES" in environ:
        what = f"{starter.name} shows this process {visible} of the {installed} GPUs of the machine"
        yield Withheld(
            what, (starter.gpus or "unset CUDA_VISIBLE_DEVICES").replace("N", str(installed))
        )


def _number(text: str | None) -> int | None:
    """Read the first number of a text such as `2(x2)`."""
    found = re.match(r"\d+", text or "")
    return None if found is None else int(found[0])
