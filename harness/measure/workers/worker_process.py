"""The parent's side of one worker: ask it, read what it prints, end it."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from harness.measure.workers import worker_log as logs
from harness.records import Case, Failure, FailureKind
from harness.worker import processes
from harness.worker.channel import Channel, ChannelClosed, Command, Garbled

Traceback = Literal["short", "full"]  # of a failure: frames of the user's own files, or all
WaitCode = Callable[[float], int | None]  # waits for so many seconds; None if it still runs
_WITH_FIRST_STEP: tuple[Command, ...] = ("inspect", "open", "open_training", "train")
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


class HostLost(WorkerFailed):
    """The host of a worker is lost; if that is not `final`, its block may be measured again."""

    def __init__(self, kind: FailureKind, message: str, *, final: bool = False) -> None:
        super().__init__(kind, message)
        self.final = final


@dataclass(eq=False)
class WorkerProcess:
    """The parent's side of one worker."""

    pid: int
    _channel: Channel
    _log: IO[bytes]
    _wait_code: WaitCode
    _timeout: float  # longest silence, in seconds
    _traceback: Traceback
    _first_timeout: float = 0.0  # the same while a model is built and makes its first step
    spawned_instead: bool = False  # by a new interpreter, though workers are forked
    _idle: bool = field(default=True, init=False)
    _ended: bool = field(default=False, init=False)

    def ask(self, command: Command, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for the answer.

        Raises:
            WorkerFailed: the worker reported a failure, died, or was silent too long.
        """
        self._idle = False
        try:
            self._channel.send(command=command, traceback=self._traceback, **arguments)
            while True:
                answer = self._receive(self._silence(command))
                event = answer.pop("event")
                if event == "answer":
                    self._idle = True
                    return answer
                if event == "failed":
                    printed = logs.tail(self._log, answer.pop("log_bytes"))
                    output = "\n".join(filter(None, [printed, answer.pop("trace").strip()]))
                    raise WorkerFailed(log_tail=output[-logs.TAIL_BYTES :], **answer)
        except (Garbled, KeyError):
            message = (
                f"the worker's channel was garbled during {command!r}; does the model write to "
                "file descriptors that it has not opened?"
            )
            raise self._given_up("error", message) from None
        except TimeoutError:
            silence = self._silence(command)
            message = f"silent for {silence:g} s during {command!r}; allow a longer timeout"
            raise self._given_up("timeout", message) from None
        except ChannelClosed:
            code = self._wait_code(5.0)
            kind: FailureKind = "error"
            how = f"exited with {code}"
            if code is not None and code < 0:
                kind, how = "killed", f"was ended by {signal.Signals(-code).name}"
            message = f"the worker {how} during {command!r}"
            raise WorkerFailed(kind, message, logs.tail(self._log)) from None

    def _given_up(self, kind: FailureKind, message: str) -> WorkerFailed:
        """End the worker; return its failure with what it printed."""
        failed = WorkerFailed(kind, message, logs.tail(self._log))
        self.end()
        return failed

    def _silence(self, command: Command) -> float:
        return max(self._timeout, self._first_timeout if command in _WITH_FIRST_STEP else 0.0)

    def _receive(self, timeout: float) -> dict[str, Any]:
        """Wait for the next message; meanwhile limit the size of the log."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                return self._channel.receive(min(_SLICE_SECONDS, max(left, 1e-3)))
            except TimeoutError:
                if left <= _SLICE_SECONDS:
                    raise
            finally:
                logs.shorten(self._log)

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
