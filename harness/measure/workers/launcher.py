"""Start workers, forked from a server or in new interpreters, and end them.

Every child process is owned here.
"""

import contextlib
import functools
import itertools
import json
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Literal, Self

from harness.measure.versions.place import HERE, Place
from harness.measure.workers import worker_log as logs
from harness.measure.workers.worker_process import Traceback, WaitCode, WorkerFailed, WorkerProcess
from harness.records import Case
from harness.worker import backends, processes
from harness.worker.channel import Channel, ChannelClosed, Garbled
from harness.workloads import levers
from harness.workloads.redirect import VARIABLE

Method = Literal["fork", "spawn"]
# Backend, device, several, version, environment.
_Key = tuple[str, str, bool, str, tuple[tuple[str, str], ...]]
_MOST_LEVERED = 3  # servers of a changed environment: two sides of a comparison, and the next
_GRACE_SECONDS = 5.0
_PRELOAD_TIMEOUT = 300.0
# Longest silences during a first step: where a framework has no kernels for a GPU, the driver
# compiles them, which has taken half an hour.
_FIRST_STEP_ON_GPU = 6


@dataclass(eq=False)
class Launcher:
    """Starts workers and ends them; a context manager that leaves no process behind.

    Attributes:
        method: `fork` from a server that has imported the framework, or `spawn` a new interpreter
            per worker.
        cuda_device: Value of `CUDA_VISIBLE_DEVICES` for a worker on the GPU.
        places: Where workers of other versions run, by the name of the version.
    """

    method: Method = "fork" if hasattr(os, "fork") else "spawn"
    cuda_device: str | None = None
    traceback: Traceback = "short"
    places: Mapping[str, Place] = field(default_factory=dict)
    _servers: dict[_Key, "Server"] = field(default_factory=dict, init=False)
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

    def preload(self, cases: Iterable[Case], coming: Iterable[Case]) -> None:
        """Import the frameworks of cases side by side: an import keeps one core busy.

        If there is something to import, the framework of the next coming case that lacks one is
        imported as well. A failure is raised by `prepare` or `start`.
        """
        keys = {self._key(case): case for case in cases}
        missing = {key: case for key, case in keys.items() if key not in self._servers}
        if missing:
            known = self._servers.keys() | missing.keys()
            lacking = (case for case in coming if self._key(case) not in known)
            missing |= {self._key(case): case for case in itertools.islice(lacking, 1)}
        for case in missing.values():
            self.prepare(case)
        for case in missing.values():
            with contextlib.suppress(WorkerFailed):
                self.prepare(case, wait=True)

    @contextlib.contextmanager
    def _server(self, case: Case) -> "Iterator[Server]":
        """Give the fork server of a case; the first use starts it.

        There is one per backend, device and environment, since a framework reads these when it is
        imported, and one per interpreter. One that fails is ended, so that a late answer is not
        taken for the next fork's.
        """
        key = self._key(case)
        if key not in self._servers:
            self._close_levered()
            place = self._place(case)
            self._servers[key] = Server.start(case.backend, place, self._environment(case))
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

    def _key(self, case: Case) -> _Key:
        several = case.device == "gpu" and case.replicas > 1
        version = case.version if self._place(case).own_server else ""
        return case.backend, case.device, several, version, tuple(levers.environment(case).items())

    def _place(self, case: Case) -> Place:
        return self.places.get(case.version, HERE)

    def _environment(self, case: Case) -> dict[str, str]:
        backend, several = backends.find(case.backend), case.replicas > 1
        place = self._place(case)
        return {
            "PYTHONFAULTHANDLER": "1",
            **backend.environment(case.device, self.cuda_device, several=several),
            **place.variables,
            **levers.environment(case),
            "PYTHONPATH": place.search_path,
        }

    def start(self, case: Case, timeout: float) -> WorkerProcess:
        """Start one fresh worker for a case.

        Raises:
            WorkerFailed: the framework could not be imported.
        """
        ours, theirs = socket.socketpair()
        log = logs.create()
        place, method = self._place(case), self._method(case)
        with theirs:
            if method == "fork":
                with self._server(case) as server:
                    pid, wait_code = server.fork(case.dataset, place.redirect, theirs, log, timeout)
            else:
                environment = self._environment(case)
                environment |= {VARIABLE: place.redirect} if place.redirect else {}
                pid, wait_code = _spawn(place, environment, theirs, log)
        channel = Channel(ours)
        first = timeout * (_FIRST_STEP_ON_GPU if case.device == "gpu" else 1)
        worker = WorkerProcess(
            pid, channel, log, wait_code, timeout, self.traceback, first, method != self.method
        )
        self._workers.append(worker)
        return worker

    def _method(self, case: Case) -> Method:
        """How to start a worker: by a fork, unless CUDA was initialized by an import."""
        if self.method == "spawn" or case.device == "cpu":
            return self.method
        with self._server(case) as server:
            server.wait_preloaded()
            return "fork" if server.forkable else "spawn"

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


@dataclass(eq=False)
class Server:
    """The parent's side of one fork server: a process that has imported a framework."""

    _backend: str
    _process: subprocess.Popen[bytes]
    _socket: socket.socket
    _channel: Channel
    _log: IO[bytes]
    _codes: dict[int, int] = field(default_factory=dict, init=False)
    _preloaded: bool = field(default=False, init=False)
    forkable: bool = field(default=True, init=False)  # known once the framework is imported

    @classmethod
    def start(cls, backend: str, place: Place, environment: Mapping[str, str]) -> Self:
        """Start a server that imports the framework of a backend."""
        ours, theirs = socket.socketpair()
        log = logs.create()
        with theirs:
            module = "harness.worker.forkserver"
            process = _start_child(place, module, theirs, backend, log=log, environment=environment)
        return cls(backend, process, ours, Channel(ours), log)

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def fork(
        self,
        dataset: str,
        redirect: str | None,
        theirs: socket.socket,
        log: IO[bytes],
        timeout: float,
    ) -> tuple[int, WaitCode]:
        """Fork a worker; return its process id and what waits for its exit code.

        A dataset is loaded once, before the first fork that needs it. The worker reads the files
        of another commit if redirected. The timeout is the longest silence, in seconds.

        Raises:
            WorkerFailed: the framework or the dataset could not be loaded.
        """
        self.wait_preloaded()
        with self._explained(f"loading {dataset}", "forking a worker"):
            request = json.dumps({"dataset": dataset, "redirect": redirect}).encode()
            socket.send_fds(self._socket, [request], [theirs.fileno(), log.fileno()])
            pid = self._wait_forked(timeout)
        return pid, functools.partial(self._code, pid)

    def wait_preloaded(self) -> None:
        """Wait until the framework is imported.

        Raises:
            WorkerFailed: the import failed or took too long.
        """
        if not self._preloaded:
            importing = f"importing {self._backend}"
            with self._explained(importing, importing):
                self.forkable = bool(self._channel.receive(_PRELOAD_TIMEOUT)["forkable"])
            self._preloaded = True

    @contextlib.contextmanager
    def _explained(self, slow: str, broken: str) -> Iterator[None]:
        """Say what took too long or failed, with the end of the server's log."""
        try:
            yield
        except TimeoutError as error:
            message = f"{slow} took too long; allow a longer timeout"
            raise WorkerFailed("timeout", message, logs.tail(self._log)) from error
        except (ChannelClosed, Garbled, OSError) as error:
            raise WorkerFailed("error", f"{broken} failed", logs.tail(self._log)) from error

    def _wait_forked(self, timeout: float) -> int:
        while True:
            message = self._channel.receive(timeout)
            if message["event"] == "forked":
                return int(message["pid"])
            self._codes[message["pid"]] = message["code"]

    def _code(self, pid: int, wait: float) -> int | None:
        with contextlib.suppress(TimeoutError, ChannelClosed, Garbled):
            while pid not in self._codes:
                message = self._channel.receive(wait)
                self._codes[message["pid"]] = message["code"]
        return self._codes.get(pid)

    def close(self) -> None:
        """End the server and all processes below it."""
        self._channel.close()
        if self._preloaded:  # otherwise it has started no worker, and may not listen yet
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
        below = processes.descendants(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        processes.end(below)
        self._process.wait()
        self._log.close()


def _spawn(
    place: Place, environment: Mapping[str, str], theirs: socket.socket, log: IO[bytes]
) -> tuple[int, WaitCode]:
    """Start a worker in a new interpreter; return its process id and what waits for its end."""
    module = "harness.worker.serve"
    process = _start_child(place, module, theirs, log=log, environment=environment)

    def wait_code(wait: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(wait)
        return None

    return process.pid, wait_code


def _start_child(
    place: Place,
    module: str,
    end: socket.socket,
    *arguments: str,
    log: IO[bytes],
    environment: Mapping[str, str],
) -> "subprocess.Popen[bytes]":
    """Run a module of this package in a new interpreter and session.

    Its first argument is the descriptor of its end of the socket, its last this process's id; the
    environment is all that it has.
    """
    return subprocess.Popen(
        [*place.python, "-m", module, str(end.fileno()), *arguments, str(os.getpid())],
        pass_fds=[end.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        start_new_session=True,
    )
