"""How long a worker may be silent, over a socket without a worker."""

import socket
import threading

import pytest

from harness.measure.workers import launcher as launchers
from harness.measure.workers import worker_log as logs
from harness.measure.workers.launcher import Launcher
from harness.measure.workers.worker_process import WorkerFailed, WorkerProcess
from harness.records import Case
from harness.worker.channel import Channel

GPU = Case("improved", "synthetic", 64, device="gpu")


@pytest.fixture
def silent():
    """A worker that answers after some seconds; 2**22 is the id of no process."""
    ends = []

    def of(seconds, timeout, first):
        ours, theirs = socket.socketpair()
        ends.append(theirs)
        answer = threading.Timer(seconds, lambda: Channel(theirs).send(event="answer"))
        ends.append(answer)
        answer.start()
        log = logs.create()
        return WorkerProcess(2**22, Channel(ours), log, lambda wait: 0, timeout, "short", first)

    yield of
    for end in ends:
        end.cancel() if isinstance(end, threading.Timer) else end.close()


def test_a_first_step_may_be_silent_longer(silent):
    """A driver may compile the kernels of a framework before it."""
    assert silent(0.3, timeout=0.1, first=30.0).ask("open") == {}
    worker = silent(30.0, timeout=0.1, first=30.0)
    with pytest.raises(WorkerFailed, match=r"silent for 0\.1 s during 'round'"):
        worker.ask("round", steps=1)


@pytest.mark.parametrize(("device", "seconds"), [("gpu", 1800.0), ("cpu", 300.0)])
def test_only_a_first_step_on_a_gpu_may(monkeypatch, device, seconds):
    """Six times the limit of the other answers."""
    monkeypatch.setattr(launchers, "_spawn", lambda *_: (2**22, lambda wait: 0))
    worker = Launcher("spawn").start(Case("improved", "synthetic", 64, device=device), 300.0)
    assert worker._silence("open") == seconds
    assert worker._silence("round") == 300.0


class Server:
    """A fork server whose import has initialized CUDA, or not."""

    def __init__(self, forkable):
        self.forkable = forkable

    def wait_preloaded(self):
        pass

    def fork(self, *_):
        return 2**22, lambda wait: 0


@pytest.mark.parametrize(
    ("device", "forkable", "spawned"),
    [("gpu", False, True), ("gpu", True, False), ("cpu", False, False)],
)
def test_a_worker_is_not_forked_from_a_process_that_has_initialized_cuda(
    monkeypatch, device, forkable, spawned
):
    """CUDA cannot be used after such a fork; on the CPU it does not matter."""
    started = []
    monkeypatch.setattr(launchers.Server, "start", lambda *_: Server(forkable))
    monkeypatch.setattr(
        launchers, "_spawn", lambda *_: started.append("spawned") or (2**22, lambda wait: 0)
    )
    case = Case("improved", "synthetic", 64, device=device)
    worker = Launcher("fork").start(case, 300.0)
    assert worker.spawned_instead == spawned == bool(started)
