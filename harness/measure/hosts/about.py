"""What the hosts of a job tell each other of themselves."""

import contextlib
import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path

from harness.measure.machine.facts import usable_cpus, versions, withheld
from harness.records import Withheld

_LIBRARIES = ("keras", "jax", "jaxlib", "numpy")


@dataclass(frozen=True, slots=True)
class Host:
    """One host of a job.

    Attributes:
        boot: Id of its running machine, the same in all containers of that machine.
        pid: Of its process, on that machine.
        cpus: That it may use.
        withheld: What its starter holds back.
        versions: Of Python and libraries; all hosts of a job must have the same.
    """

    name: str
    boot: str
    pid: int
    cpus: int
    withheld: tuple[Withheld, ...]
    versions: dict[str, str | None]

    def differences(self, other: "Host") -> str:
        """Say how the versions of another host differ; empty where they do not."""
        return "; ".join(
            f"{what} {other.versions.get(what)} there, {version} here"
            for what, version in self.versions.items()
            if other.versions.get(what) != version
        )


def this_host() -> Host:
    """Describe this host."""
    found = versions()
    return Host(
        name=os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        boot=_boot(),
        pid=os.getpid(),
        cpus=len(usable_cpus()),
        withheld=withheld(),
        versions={
            "harness": found.get("training-harness"),
            "python": platform.python_version(),
            **{name: found.get(name) for name in _LIBRARIES},
        },
    )


def _boot() -> str:
    """Return an id of the running machine: see random(4)."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname()
