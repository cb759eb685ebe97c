"""The hosts of a job and the rank of this one: from the job's launcher or from `--hosts`."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import BadCase

PORT = 29410
AUTO = "auto"
_RANKS = {  # variables in which a job launcher sets rank and size
    "Slurm": ("SLURM_PROCID", "SLURM_NTASKS"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "Kubernetes": ("JOB_COMPLETION_INDEX", "WORLD_SIZE"),
    "its environment": ("RANK", "WORLD_SIZE"),
}


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of a job.

    Attributes:
        rank: Number of this host, from 0; host 0 measures and reports.
        size: Number of hosts.
        address: Where host 0 listens, on the port.
        said_by: Source of these values.
    """

    rank: int
    size: int
    address: str
    port: int
    said_by: str


def find(given: str | None, environ: Mapping[str, str] = os.environ) -> Hosts | None:
    """Find the hosts of the job; None for a single host.

    `given` is None for one host, `auto` to read the environment, or `HOST,HOST`, where the first
    one measures. The rank of this host follows as `@1`, or its name is found in the list.

    Raises:
        BadCase: `given` or a variable is invalid.
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
        f"--hosts: found no job of several hosts ({known}, or RANK, WORLD_SIZE and MASTER_ADDR); "
        "name the hosts: HOST,HOST"
    )


def _given(text: str) -> Hosts:
    names, _, place = text.partition("@")
    hosts = [name.strip() for name in names.split(",") if name.strip()]
    if len(hosts) < 2:
        raise BadCase(
            f"--hosts: {text!r} has fewer than two hosts; use HOST,HOST, with @1 on the second"
        )
    if place:
        if not place.isdecimal() or int(place) >= len(hosts):
            between = "or" if len(hosts) == 2 else "to"
            raise BadCase(f"--hosts: @{place} is out of range; use @0 {between} @{len(hosts) - 1}")
        rank = int(place)
    else:
        here = {socket.gethostname(), socket.getfqdn()}
        if not here & set(hosts):
            raise BadCase(
                f"--hosts: none of {', '.join(hosts)} is the name of this host "
                f"({socket.gethostname()}); add its rank: {names}@0 on the first host"
            )
        rank = next(i for i, name in enumerate(hosts) if name in here)
    address, _, port = hosts[0].partition(":")
    return Hosts(rank, len(hosts), address, _port(port), "--hosts")


def _started(who: str, rank: str, size: str, environ: Mapping[str, str]) -> Hosts:
    if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size)):
        raise BadCase(f"--hosts: {who} gives rank {rank!r} of {size!r}, which is invalid")
    address = environ.get("MASTER_ADDR") or _first(environ)
    if address is None:
        lack = f"{size} processes without the address of the first one"
        raise BadCase(f"--hosts: {who} started {lack}; set MASTER_ADDR")
    port = _port(environ.get("MASTER_PORT", ""))
    return Hosts(int(rank), int(size), address, port, who)


def _port(text: str) -> int:
    return int(text) if text.isdecimal() else PORT


def _first(environ: Mapping[str, str]) -> str | None:
    """Return the first host of Slurm's list of nodes or of Kubernetes's JobSet."""
    nodes = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST")
    if nodes:
        # the first of "gpu[03-05,9],login1" is gpu03
        found = re.match(r"([^\[,]+)(?:\[(\d+))?", nodes)
        return None if found is None else found[1] + (found[2] or "")
    name, job = environ.get("JOBSET_NAME"), environ.get("REPLICATED_JOB_NAME")
    return f"{name}-{job}-0-0.{name}" if name and job else None
