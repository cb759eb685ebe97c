"""The parent's side of one worker: ask it, read what it prints, end it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, Any, Literal

from harness.measure import worker_log as logs
from harness.records import Case, Failure, FailureKind
from harness.worker import processes
from harness.worker.channel import Channel, ChannelClosed, Command, Garbled

Traceback = Literal["short", "full"]
_GRACE_SECONDS = 1.0
_SLICE_SECONDS = 1.0  # of waiting, between two checks of the log's size


class WorkerFailed(Exception):
    """A worker did not answer.

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

    def failure_of(self, case: Case, reference: Case) -> Failure:
        """Return the outcome of the comparison whose worker failed so."""
        return Failure(case, reference, self.kind, str(self), self.log_tail)


class WorkerProcess:
    """The parent's side of one worker.

    Args:
        wait_code: Waits for so many seconds; the exit code, or None if the worker still runs.
        timeout: Longest silence, in seconds.

    Attributes:
        traceback: Of a failure: `short`, the frames of the user's own files, or `full`.
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
        """Send a command and wait for the answer.

        Raises:
            WorkerFailed: the worker reported a failure, died, or was silent too long.
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
                    output = "\n".join(filter(None, [printed, message.pop("trace").strip()]))
                    raise WorkerFailed(log_tail=output[-logs.TAIL_BYTES :], **message)
        except (Garbled, KeyError):
            log_tail = self.log_tail()
            self.end()
            raise WorkerFailed(
                "error",
                f"the worker's channel was garbled during {command!r}; does the model write to "
                "file descriptors that it has not opened?",
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
        """Wait for the next message; meanwhile limit the size of the log.

        Raises:
            TimeoutError: the worker was silent too long.
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
        """Kill the worker, so that a pending `ask` in another thread fails; `end` must follow."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """End the worker and all processes that it started; a second call does nothing."""
        if self._ended:  # the system may have reused its process id
            return
        self._ended = True
        below = processes.descendants(self.pid)
        self._channel.close()
        # An idle worker ends by itself at once, and the system may soon reuse its process id.
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


def start_child(
    module: str, descriptor: int, *arguments: str, log: IO[bytes], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Run a module of this package in a new interpreter and session.

    Args:
        module: The module.
        descriptor: The child's end of the socket, its first argument.
        arguments: Further arguments; this process's id is the last.
        log: Where the child prints.
        environment: All of the child's environment.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module, str(descriptor), *arguments, str(os.getpid())],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        start_new_session=True,
    )
