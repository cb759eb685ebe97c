"""The parent's side of the fork server: start it, fork workers from it, end it."""

import contextlib
import functools
import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Self

from harness.measure import worker_log as logs
from harness.measure.worker_process import WaitCode, WorkerFailed, start_child
from harness.worker import processes
from harness.worker.channel import Channel, ChannelClosed, Garbled

_GRACE_SECONDS = 5.0
_PRELOAD_TIMEOUT = 300.0


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

    @classmethod
    def start(cls, backend: str, environment: Mapping[str, str]) -> Self:
        """Start a server that imports the framework of a backend."""
        ours, theirs = socket.socketpair()
        log = logs.create()
        with theirs:
            module = "harness.worker.forkserver"
            process = start_child(module, theirs, backend, log=log, environment=environment)
        return cls(backend, process, ours, Channel(ours), log)

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def fork(
        self, dataset: str, theirs: socket.socket, log: IO[bytes], timeout: float
    ) -> tuple[int, WaitCode]:
        """Fork a worker; return its process id and what waits for its exit code.

        A dataset is loaded once, before the first fork that needs it. The timeout is the longest
        silence, in seconds.

        Raises:
            WorkerFailed: the framework or the dataset could not be loaded.
        """
        self.wait_preloaded()
        with self._explained(f"loading {dataset}", "forking a worker"):
            request = json.dumps({"dataset": dataset}).encode()
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
                self._channel.receive(_PRELOAD_TIMEOUT)
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
