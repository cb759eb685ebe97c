"""The parent's side of the fork server: start it, fork workers from it, end it."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from typing import IO, Self

from harness.measure import worker_log as logs
from harness.measure.worker_process import WorkerFailed, WorkerProcess, start_child
from harness.worker import processes
from harness.worker.channel import Channel, ChannelClosed, Garbled

_GRACE_SECONDS = 5.0
_PRELOAD_TIMEOUT = 300.0


class Server:
    """The parent's side of one fork server: a process that has imported a framework."""

    def __init__(
        self,
        backend: str,
        process: "subprocess.Popen[bytes]",
        sock: socket.socket,
        log: IO[bytes],
    ) -> None:
        self._backend = backend
        self._process = process
        self._socket = sock
        self._channel = Channel(sock)
        self._log = log
        self._codes: dict[int, int] = {}
        self._preloaded = False

    @classmethod
    def start(cls, backend: str, environment: Mapping[str, str]) -> Self:
        """Start a server that imports the framework of a backend."""
        ours, theirs = socket.socketpair()
        log = logs.create()
        with theirs:
            process = start_child(
                "harness.worker.forkserver",
                theirs.fileno(),
                backend,
                log=log,
                environment=environment,
            )
        return cls(backend, process, ours, log)

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def fork(
        self,
        dataset: str,
        ours: socket.socket,
        theirs: socket.socket,
        log: IO[bytes],
        timeout: float,
    ) -> WorkerProcess:
        """Fork a worker.

        Args:
            dataset: Loaded once, before the first fork that needs it.
            ours: The parent's end of the worker's socket.
            theirs: The worker's end.
            log: Where the worker prints.
            timeout: Longest silence, in seconds.

        Raises:
            WorkerFailed: the framework or the dataset could not be loaded.
        """
        self.wait_preloaded()
        with self._explained(f"loading {dataset}", "forking a worker"):
            request = json.dumps({"dataset": dataset}).encode()
            socket.send_fds(self._socket, [request], [theirs.fileno(), log.fileno()])
            pid = self._wait_forked(timeout)
        return WorkerProcess(pid, Channel(ours), log, lambda wait: self._code(pid, wait), timeout)

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
            raise WorkerFailed(
                "timeout", f"{slow} took too long; allow a longer timeout", logs.tail(self._log)
            ) from error
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
