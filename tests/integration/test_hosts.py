"""Several devices and hosts, for real: logical devices, and two processes that talk by loopback."""

import dataclasses
import os
import re
import signal
import socket
import threading
import time

import jobs
import pytest

from harness.measure.hosts.about import this_host
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.door import Door
from harness.measure.hosts.follow import follow
from harness.measure.hosts.group import GroupLauncher
from harness.measure.machine.facts import usable_cpus
from harness.measure.workers.launcher import Launcher
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, to_json
from harness.worker import backends

pytestmark = pytest.mark.slow
EARLY = 8


def one(backend):
    """Without dropout, whose random numbers are other ones on each device."""
    if reason := backends.find(backend).missing():
        pytest.skip(reason)
    return Case(
        "no_dropout",
        "synthetic",
        32,
        backend,
        threads=len(usable_cpus()),
        jit=backends.find(backend).jit_by_default,
    )


def losses(launcher, case):
    """Of the first step, and after some."""
    worker = launcher.start(case, 120)
    try:
        answer = worker.ask("open", case=to_json(case), cpus=usable_cpus(), early_steps=EARLY)
        worker.ask("warm_up", seconds=0.1, floor_seconds=0.0)
        assert worker.ask("round", steps=2)["seconds"] > 0
        if case.replicas > 1:
            told = worker.ask("allreduce")
            assert told["allreduce_seconds"] > 0
            assert told["allreduce_bytes"] == 4 * answer["facts"]["parameters"]
    finally:
        launcher.end(worker)
    return answer["facts"]["initial_loss"], answer["start"]["early_loss"]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_logical_devices_learn_what_one_does(launcher, backend):
    """From the same batches, shared among them."""
    alone = one(backend)
    first, early = losses(launcher, alone)
    shared = losses(launcher, dataclasses.replace(alone, replicas=2))
    assert shared[0] == pytest.approx(first, rel=1e-5)
    assert shared[1] == pytest.approx(early, rel=1e-3)


@pytest.fixture
def group(launcher, tmp_path):
    """The first of two hosts; the other one is served by a thread, its workers are processes."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    first = Hosts(0, 2, "127.0.0.1", port, "a test")

    def serve():
        with Launcher() as own:
            served.append(own)
            follow(dataclasses.replace(first, rank=1), tmp_path, this_host(), own, 60.0)

    served = []
    thread = threading.Thread(target=serve)
    thread.start()
    with Door.open(first, tmp_path, this_host(), 60.0) as door:
        door.wait(60.0)
        yield GroupLauncher(launcher, first, door), served[0]
    thread.join(60)
    assert not thread.is_alive()


def test_two_processes_learn_what_one_does(launcher, group):
    """Each of its own rows of every batch."""
    alone = one("jax")
    first, early = losses(launcher, alone)
    together = losses(group[0], dataclasses.replace(alone, replicas=2, hosts=2))
    assert together[0] == pytest.approx(first, rel=1e-5)
    assert together[1] == pytest.approx(early, rel=1e-3)


def test_a_process_that_is_killed_ends_the_other_at_once(group):
    """It would wait for what it is not told."""
    case = dataclasses.replace(one("jax"), replicas=2, hosts=2)
    launcher, other = group
    worker = launcher.start(case, 120)
    worker.ask("open", case=to_json(case), cpus=usable_cpus())
    (theirs,) = other._workers
    threading.Timer(1.0, os.kill, [theirs.pid, signal.SIGKILL]).start()
    begin = time.monotonic()
    with pytest.raises(WorkerFailed, match=r"host 1 .*SIGKILL|exited|lost"):
        worker.ask("round", steps=10_000)
    assert time.monotonic() - begin < 30
    pid = worker.pid
    launcher.end(worker)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_documented_line_of_hosts_by_name(tmp_path):
    """Two processes with a secret of a variable and no folder in common."""
    one("jax")
    text = (jobs.ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^pytest .*--train-hosts node01,node02@0$", text, re.MULTILINE)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    line = line.replace("node01,node02@0", f"127.0.0.1:{port},127.0.0.1@{{}}")
    line = line.replace("-k hosts", '-k "hosts and strong"')
    line += " --train-effort quick --train-steps 1 --train-variants improved"
    line += " --train-batch-sizes 16 --train-output {}"
    variables = jobs.environment(HARNESS_HOSTS_KEY="a secret of this test")
    ended = {}

    def host(rank):
        ended[rank] = jobs.run(line.format(rank, tmp_path / str(rank)), variables)

    threads = [threading.Thread(target=host, args=(rank,)) for rank in (1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [code for code, _ in ended.values()] == [0, 0], ended
    assert "host 1 of 2: 1 workers trained; the first one reports" in ended[1][1]
    (row,) = jobs.table(tmp_path / "0", "scaling")
    assert row["kind"] == "strong"
    assert not (tmp_path / "1").exists()
