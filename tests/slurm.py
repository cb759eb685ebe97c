"""A real Slurm of two nodes on this machine, as most clusters are set up: a task gets one CPU."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

NEEDED = ("slurmctld", "slurmd", "srun", "sbatch", "munged")
_CONFIGURATION = """\
ClusterName=two
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus} State=UNKNOWN
PartitionName=p Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
"""


def missing():
    """Say why there can be no Slurm here; None where there can."""
    if os.geteuid() != 0:
        return "starting Slurm needs root"
    lack = [name for name in NEEDED if shutil.which(name) is None]
    return f"no {', '.join(lack)}: apt-get install slurm-wlm munge" if lack else None


@contextlib.contextmanager
def cluster(folder: Path):
    """Start both nodes; yields the variables that find them."""
    folder.mkdir(mode=0o755)
    for name in ("state", "munge"):
        (folder / name).mkdir()
    key, munge = folder / "munge.key", folder / "munge"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    with contextlib.ExitStack() as probes:
        sockets = [probes.enter_context(socket.create_server(("", 0))) for _ in range(3)]
        ports = [sock.getsockname()[1] for sock in sockets]
    host, cpus = socket.gethostname().split(".")[0], os.cpu_count()
    configuration = folder / "slurm.conf"
    text = _CONFIGURATION.format(host=host, ports=ports, folder=folder, cpus=cpus)
    configuration.write_text(text)
    variables = {**os.environ, "SLURM_CONF": str(configuration)}

    def start(*command):
        subprocess.run([*command], env=variables, check=True, capture_output=True)

    with _names_resolved():
        try:
            start(
                *("munged", "--force", f"--key-file={key}", f"--socket={munge}/socket"),
                *(f"--pid-file={folder}/munged.pid", f"--log-file={munge}/log"),
                f"--seed-file={munge}/seed",
            )
            start("slurmctld", "-c")
            start("slurmd", "-N", "n1")
            start("slurmd", "-N", "n2")
            _wait(variables)
            yield variables
        finally:
            subprocess.run(["scancel", "--user=root"], env=variables, check=False)
            for file in folder.glob("*.pid"):
                with contextlib.suppress(ValueError, ProcessLookupError):
                    os.kill(int(file.read_text()), 15)


def _wait(variables):
    """Until both nodes are idle."""
    deadline = time.monotonic() + 30
    command = ["sinfo", "-h", "-t", "idle", "-o", "%D"]
    while time.monotonic() < deadline:
        shown = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if shown.stdout.strip() == "2":
            return
        time.sleep(0.2)
    raise RuntimeError("the nodes of Slurm did not become idle")


@contextlib.contextmanager
def _names_resolved():
    """Let both names be this machine's, as on a cluster."""
    hosts, line = Path("/etc/hosts"), "127.0.0.1 n1 n2  # tests of training-harness\n"
    before = hosts.read_text()
    if line not in before:
        hosts.write_text(before.rstrip("\n") + "\n" + line)
    yield  # the line stays: another process may be using it
