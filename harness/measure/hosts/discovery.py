"""Which hosts a job runs on, and which one this is: from what started it, or as asked."""

import hashlib
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import BadCase

PORT = 29410
AUTO = "auto"
_RANKS = {  # what starts a process a host says its number and their number in these
    "Slurm": ("SLURM_PROCID", "SLURM_NTASKS"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "Kubernetes": ("JOB_COMPLETION_INDEX", "WORLD_SIZE"),
    "its environment": ("RANK", "WORLD_SIZE"),
}
_JOBS = ("SLURM_JOB_ID", "OMPI_MCA_ess_base_jobid", "PMIX_NAMESPACE", "JOBSET_NAME")


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of a job.

    Attributes:
        rank: Number of this one, from 0, which measures and reports.
        size: How many there are.
        address: Of the first one.
        port: That it listens on.
        said_by: Where this is from.
        token: What all of one job have in common: no other is let in.
    """

    rank: int
    size: int
    address: str
    port: int
    said_by: str
    token: str


def find(given: str | None, environ: Mapping[str, str] = os.environ) -> Hosts | None:
    """Say which hosts there are; None where there is but this one.

    Args:
        given: None for one host; `auto` for what the environment says; or `HOST,HOST`, the first
            one measures; this one is named by its place, `@1`, at the end, or found by its name.
        environ: The environment.

    Raises:
        BadCase: what is given, or set, makes no sense.
    """
    if not given:
        return None
    if given != AUTO:
        return _given(given)
    for who, (rank, size) in _RANKS.items():
        if rank in environ and environ.get(size, "1") != "1":
            return _started(who, environ[rank], environ[size], environ)
    known = ", ".join(who for who in _RANKS if who != "its environment")
    raise BadCase(
        f"hosts: nothing here says that several were started ({known}, or RANK, WORLD_SIZE and "
        "MASTER_ADDR); name them: HOST,HOST"
    )


def _given(text: str) -> Hosts:
    names, _, place = text.partition("@")
    hosts = [name.strip() for name in names.split(",") if name.strip()]
    if len(hosts) < 2:
        raise BadCase(f"hosts: {text!r} names fewer than two: HOST,HOST, and @1 on the second")
    if place:
        if not place.isdecimal() or int(place) >= len(hosts):
            raise BadCase(f"hosts: {place!r} is no place among {len(hosts)} hosts, from 0")
        rank = int(place)
    else:
        here = {socket.gethostname(), socket.getfqdn()}
        if not here & set(hosts):
            raise BadCase(
                f"hosts: none of {', '.join(hosts)} is the name of this one "
                f"({socket.gethostname()}); say its place: {names}@0 on the first one"
            )
        rank = next(i for i, name in enumerate(hosts) if name in here)
    address, _, port = hosts[0].partition(":")
    number = int(port) if port.isdecimal() else PORT
    return Hosts(rank, len(hosts), address, number, "--hosts", _token(names))


def _started(who: str, rank: str, size: str, environ: Mapping[str, str]) -> Hosts:
    if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size)):
        raise BadCase(f"hosts: {who} says number {rank!r} of {size!r}, which makes no sense")
    address = environ.get("MASTER_ADDR") or _first(environ)
    if address is None:
        raise BadCase(
            f"hosts: {who} started {size} processes and does not say where the first one is; "
            "set MASTER_ADDR to its address"
        )
    port = environ.get("MASTER_PORT", "")
    token = _token(",".join(environ.get(name, "") for name in _JOBS) + address)
    number = int(port) if port.isdecimal() else PORT
    return Hosts(int(rank), int(size), address, number, who, token)


def _first(environ: Mapping[str, str]) -> str | None:
    """Address of the first host, as Slurm's list of nodes or Kubernetes's JobSet names it."""
    nodes = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST")
    if nodes:
        # "gpu[03-05,9],login1" begins with gpu03
        found = re.match(r"([^\[,]+)(?:\[(\d+))?", nodes)
        return None if found is None else found[1] + (found[2] or "")
    name, job = environ.get("JOBSET_NAME"), environ.get("REPLICATED_JOB_NAME")
    return f"{name}-{job}-0-0.{name}" if name and job else None


def _token(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
