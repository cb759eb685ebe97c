"""Start workers, talk to them, end them; owns every child process."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Any, Literal, Self

from harness.measure import worker_log as logs
from harness.records import Case, FailureKind
from harness.worker import backends, processes
from harness.worker.channel import Channel, ChannelClosed, Command, Garbled
from harness.workloads import levers

Method = Literal["fork", "spawn"]
Traceback = Literal["short", "full"]
_Key = tuple[str, str, bool, tuple[tuple[str, str], ...]]  # backend, device, several, environment
_GRACE_SECONDS = 1.0
_MOST_LEVERED = 2  # fork servers beside the plain ones: a comparison has two sides
_SERVER_GRACE_SECONDS = 5.0
_SLICE_SECONDS = 1.0  # of waiting, between two looks at the log's size
_PRELOAD_TIMEOUT = 300.0


class WorkerFailed(Exception):  # noqa: N818  (caught by the runner, which makes a Failure of it)
    """A worker did not answer; carries what a `Failure` needs.

    Attributes:
        rss_bytes: Resident memory of a worker in which allocating host memory failed.
    """

    def __init__(
        self, kind: FailureKind, message: str, log_tail: str = "", rss_bytes: int | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.log_tail = log_tail
        self.rss_bytes = rss_bytes


class Worker:
    """The parent's side of one child process.

    Attributes:
        traceback: How a failure tells its traceback: `short`, the frames of the user's own files,
            or `full`.
    """

    traceback: Traceback = "short"

    def __init__(
        self,
        pid: int,
        channel: Channel,
        log: IO[bytes],
        wait_code: Callable[[float], int | None],
        timeout: float,
    ) -> None:
        self.pid = pid
        self._channel = channel
        self._log = log
        self._wait_code = wait_code
        self._timeout = timeout
        self._idle = True
        self._ended = False

    def ask(self, command: Command, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises:
            WorkerFailed: it reported a failure, died, or was silent too long.
        """
        self._idle = False
        try:
            self._channel.send(command=command, traceback=self.traceback, **arguments)
            while True:
                message = self._receive()
                event = message.pop("event")
                if event == "answer":
                    self._idle = True
                    return message
                if event == "failed":
                    printed = logs.tail(self._log, message.pop("log_bytes"))
                    told = "\n".join(filter(None, [printed, message.pop("trace").strip()]))
                    raise WorkerFailed(log_tail=told[-logs.TAIL_BYTES :], **message)
        except (Garbled, KeyError):
            log_tail = self.log_tail()
            self.end()
            raise WorkerFailed(
                "error",
                f"something else wrote to the worker's channel during {command!r}; does the model "
                "write to file descriptors that it has not opened?",
                log_tail,
            ) from None
        except TimeoutError:
            log_tail = self.log_tail()
            self.end()
            raise WorkerFailed(
                "timeout",
                f"silent for {self._timeout:g} s during {command!r}; allow a longer timeout",
                log_tail,
            ) from None
        except ChannelClosed:
            code = self._wait_code(5.0)
            raise _died(code, command, self.log_tail()) from None

    def _receive(self) -> dict[str, Any]:
        """Wait for the next message, and keep the log short meanwhile.

        Raises:
            TimeoutError: nothing came for as long as is allowed.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            left = deadline - time.monotonic()
            try:
                return self._channel.receive(min(_SLICE_SECONDS, max(left, 1e-3)))
            except TimeoutError:
                if left <= _SLICE_SECONDS:
                    raise
            finally:
                logs.shorten(self._log)

    def log_tail(self) -> str:
        """Return the last lines that the worker printed."""
        return logs.tail(self._log)

    def kill(self) -> None:
        """Let what another thread asks it fail at once; `end` must follow."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """End the worker and every process that it started; a second call does nothing."""
        if self._ended:  # its number may be another's by now
            return
        self._ended = True
        below = processes.descendants(self.pid)
        self._channel.close()
        # An idle one ends by itself, at once; then its number may soon be another's.
        if not self._idle or self._wait_code(_GRACE_SECONDS) is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        processes.end(below)
        self._wait_code(10.0)
        with contextlib.suppress(OSError):
            self._log.close()


def _died(code: int | None, command: str, log_tail: str) -> WorkerFailed:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return WorkerFailed(
            "killed", f"the worker was ended by {name} during {command!r}", log_tail
        )
    return WorkerFailed("error", f"the worker exited with {code} during {command!r}", log_tail)


class Launcher:
    """Starts workers; a context manager that leaves no process behind.

    Args:
        method: `fork` from a server that has imported the framework, or
            `spawn` a new interpreter each time, the default where there is no fork.
        cuda_device: What `CUDA_VISIBLE_DEVICES` says to a worker on the GPU.
        traceback: See `Worker`.
    """

    def __init__(
        self,
        method: Method | None = None,
        cuda_device: str | None = None,
        traceback: Traceback = "short",
    ) -> None:
        self._cuda_device = cuda_device
        self._traceback = traceback
        self._method = method or ("fork" if hasattr(os, "fork") else "spawn")
        self._servers: dict[_Key, _Server] = {}
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        """Return the launcher itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every worker and server."""
        self.close()

    def prepare(self, case: Case, *, wait: bool = False) -> None:
        """Start a fork server for a case now, so that it does not wait for it.

        There is one a backend, a device and an environment: what a framework sees is settled
        when it is imported.

        Args:
            case: Whose workers it forks.
            wait: Whether to wait for the import.

        Raises:
            WorkerFailed: the framework could not be imported.
        """
        if self._method != "fork":
            return
        key = _key(case)
        if key not in self._servers:
            self._close_levered()
            environment = self._environment(case)
            self._servers[key] = _Server(case.backend, environment, logs.create())
        if wait:
            with self._forgotten_on_failure(key):
                self._servers[key].wait_preloaded()

    @contextlib.contextmanager
    def _forgotten_on_failure(self, key: _Key) -> Iterator[None]:
        """End a server that failed: what it still answers would be taken for the next fork's."""
        try:
            yield
        except WorkerFailed:
            self._servers.pop(key).close()
            raise

    def _close_levered(self) -> None:
        """Make room: each holds a framework, and levers come one after the other."""
        levered = [key for key in self._servers if key[-1]]
        if not self._workers and len(levered) >= _MOST_LEVERED:
            self._servers.pop(levered[0]).close()

    def _environment(self, case: Case) -> dict[str, str]:
        return {
            "PYTHONFAULTHANDLER": "1",
            **backends.find(case.backend).environment(
                case.device, self._cuda_device, several=case.replicas > 1
            ),
            **levers.environment(case),
            # The child is `python -m`: it must find this package and the user's modules.
            "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path),
        }

    def start(self, case: Case, timeout: float) -> Worker:
        """Start one fresh worker for a case.

        Raises:
            WorkerFailed: the framework could not be imported.
        """
        self.prepare(case)
        ours, theirs = socket.socketpair()
        log = logs.create()
        key = _key(case)
        with theirs:
            if self._method == "fork":
                with self._forgotten_on_failure(key):
                    worker = self._servers[key].fork(case.dataset, ours, theirs, log, timeout)
            else:
                worker = _spawn(self._environment(case), ours, theirs, log, timeout)
        worker.traceback = self._traceback
        self._workers.append(worker)
        return worker

    def end(self, worker: Worker) -> None:
        """End a worker and every process that it started, daemons among them."""
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


class _Server:
    """The parent's side of one fork server."""

    def __init__(self, backend: str, environment: dict[str, str], log: IO[bytes]) -> None:
        ours, theirs = socket.socketpair()
        self._backend = backend
        self._log = log
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "harness.worker.forkserver",
                    str(theirs.fileno()),
                    backend,
                    str(os.getpid()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self._socket = ours
        self._channel = Channel(ours)
        self._codes: dict[int, int] = {}
        self._preloaded = False

    @property
    def pid(self) -> int:
        """Of the server's process."""
        return self._process.pid

    def fork(
        self,
        dataset: str,
        ours: socket.socket,
        theirs: socket.socket,
        log: IO[bytes],
        timeout: float,
    ) -> Worker:
        self.wait_preloaded()
        with self._explained(f"loading {dataset}", "forking a worker"):
            request = json.dumps({"dataset": dataset}).encode()
            socket.send_fds(self._socket, [request], [theirs.fileno(), log.fileno()])
            pid = self._wait_forked(timeout)
        return Worker(pid, Channel(ours), log, lambda wait: self._code(pid, wait), timeout)

    def wait_preloaded(self) -> None:
        if not self._preloaded:
            importing = f"importing {self._backend}"
            with self._explained(importing, importing):
                self._channel.receive(_PRELOAD_TIMEOUT)
            self._preloaded = True

    @contextlib.contextmanager
    def _explained(self, slow: str, broken: str) -> Iterator[None]:
        """Say what took too long, or what failed, with the last that the server printed."""
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
        """End the server; it ends what is left below it first, if it gets so far."""
        self._channel.close()
        if self._preloaded:  # else it has started nothing, and may not listen yet
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_SERVER_GRACE_SECONDS)
        below = processes.descendants(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        processes.end(below)
        self._process.wait()
        self._log.close()


def _spawn(
    environment: dict[str, str],
    ours: socket.socket,
    theirs: socket.socket,
    log: IO[bytes],
    timeout: float,
) -> Worker:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "harness.worker.serve",
            str(theirs.fileno()),
            str(os.getpid()),
        ],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        start_new_session=True,
    )

    def wait_code(wait: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(wait)
        return None

    return Worker(process.pid, Channel(ours), log, wait_code, timeout)
