"""Start workers and end them; owns every child process."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Self

from harness.measure import worker_log as logs
from harness.measure.server import Server
from harness.measure.worker_process import Traceback, WorkerFailed, WorkerProcess, spawn
from harness.records import Case
from harness.worker import backends, processes
from harness.worker.channel import Channel
from harness.workloads import levers

Method = Literal["fork", "spawn"]
_Key = tuple[str, str, bool, tuple[tuple[str, str], ...]]  # backend, device, several, environment
_MOST_LEVERED = 2  # servers of a changed environment: a comparison has two sides


@dataclass(eq=False)
class Launcher:
    """Starts workers and ends them; a context manager that leaves no process behind.

    Attributes:
        method: `fork` from a server that has imported the framework, or `spawn` a new interpreter
            per worker.
        cuda_device: Value of `CUDA_VISIBLE_DEVICES` for a worker on the GPU.
    """

    method: Method = "fork" if hasattr(os, "fork") else "spawn"
    cuda_device: str | None = None
    traceback: Traceback = "short"
    _servers: dict[_Key, Server] = field(default_factory=dict, init=False)
    _workers: list[WorkerProcess] = field(default_factory=list, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def prepare(self, case: Case, *, wait: bool = False) -> None:
        """Start the fork server of a case before its first worker; with `wait`, let it import.

        Raises:
            WorkerFailed: the framework could not be imported.
        """
        if self.method == "fork":
            with self._server(case) as server:
                if wait:
                    server.wait_preloaded()

    @contextlib.contextmanager
    def _server(self, case: Case) -> Iterator[Server]:
        """Give the fork server of a case; the first use starts it.

        There is one per backend, device and environment: a framework reads them when it is
        imported. One that fails is ended, so that a late answer is not taken for the next fork's.
        """
        key = _key(case)
        if key not in self._servers:
            self._close_levered()
            self._servers[key] = Server.start(case.backend, self._environment(case))
        try:
            yield self._servers[key]
        except WorkerFailed:
            self._servers.pop(key).close()
            raise

    def _close_levered(self) -> None:
        """End the oldest server of a changed environment: each holds a framework in memory."""
        levered = [key for key in self._servers if key[-1]]
        if not self._workers and len(levered) >= _MOST_LEVERED:
            self._servers.pop(levered[0]).close()

    def _environment(self, case: Case) -> dict[str, str]:
        backend, several = backends.find(case.backend), case.replicas > 1
        return {
            "PYTHONFAULTHANDLER": "1",
            **backend.environment(case.device, self.cuda_device, several=several),
            **levers.environment(case),
            # So that the child finds this package and the user's modules.
            "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path),
        }

    def start(self, case: Case, timeout: float) -> WorkerProcess:
        """Start one fresh worker for a case.

        Raises:
            WorkerFailed: the framework could not be imported.
        """
        ours, theirs = socket.socketpair()
        log = logs.create()
        with theirs:
            if self.method == "fork":
                with self._server(case) as server:
                    pid, wait_code = server.fork(case.dataset, theirs, log, timeout)
            else:
                pid, wait_code = spawn(self._environment(case), theirs, log)
        channel = Channel(ours)
        worker = WorkerProcess(pid, channel, log, wait_code, timeout, self.traceback)
        self._workers.append(worker)
        return worker

    def end(self, worker: WorkerProcess) -> None:
        """End a worker and all processes that it started, daemons included."""
        worker.end()
        self._workers.remove(worker)
        alive = [worker.pid for worker in self._workers]
        for server in self._servers.values():
            processes.end_strays(server.pid, alive)

    def close(self) -> None:
        """End every worker and server."""
        for worker in list(self._workers):
            self.end(worker)
        for server in self._servers.values():
            server.close()
        self._servers.clear()


def _key(case: Case) -> _Key:
    several = case.device == "gpu" and case.replicas > 1
    return case.backend, case.device, several, tuple(levers.environment(case).items())
