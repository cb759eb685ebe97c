"""What every host of a job but the first does: run workers at the first host's request.

Model, data and program must have the same paths on each host.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.measure.hosts import keys
from harness.measure.hosts.about import Host
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.door import HostsFailed
from harness.measure.hosts.messages import WrongMessage, checked
from harness.measure.hosts.sealed import HANDSHAKE_SECONDS, SealedChannel
from harness.measure.machine.facts import usable_cpus
from harness.measure.oom import explained
from harness.measure.workers.launcher import Launcher
from harness.measure.workers.worker_process import WorkerFailed, WorkerProcess
from harness.records import Case, to_json
from harness.worker.channel import ChannelClosed, Command, Garbled

_RETRY_SECONDS = 0.25


def follow(hosts: Hosts, folder: Path, here: Host, launcher: Launcher, timeout: float) -> int:
    """Serve the first host until it closes the connection; return the number of workers started.

    `folder` is the output folder of the job; `timeout` is in seconds, for the first host to answer.

    Raises:
        HostsFailed: the first host is late, refuses this one, or is lost during the run.
        NoKey: the file of the job's secret cannot be used.
    """
    return _Service(_joined(hosts, folder, here, timeout), launcher).serve()


def _joined(hosts: Hosts, folder: Path, here: Host, timeout: float) -> SealedChannel:
    """Try until the first host answers that has the same secret."""
    deadline = time.monotonic() + timeout
    first = f"the first host ({hosts.address}, port {hosts.port})"
    while True:
        secret = keys.given() or keys.read(folder, hosts)
        try:
            if secret is None:
                why = f"has written no {keys.path(folder, hosts)}; if it runs, {keys.EXPORT}"
            else:
                return _connected(hosts, here, secret)
        except (ChannelClosed, Garbled, WrongMessage, TimeoutError) as error:
            why = "has another key, or another program has its port"
            if isinstance(error, TimeoutError):
                why = f"did not answer in time; {why}"
        except OSError as error:
            why = f"cannot be reached: {error.strerror or error}"
        if time.monotonic() >= deadline:
            raise HostsFailed(f"{first} {why} (after {timeout:g} s)")
        time.sleep(_RETRY_SECONDS)


def _connected(hosts: Hosts, here: Host, secret: bytes) -> SealedChannel:
    connection = socket.create_connection((hosts.address, hosts.port), HANDSHAKE_SECONDS)
    try:
        channel = SealedChannel.open(connection, secret, first=False)
        channel.send(what="join", rank=hosts.rank, host=to_json(here))
        told, answer = checked(channel.receive(HANDSHAKE_SECONDS), "welcome", "refused")
    except BaseException:
        connection.close()
        raise
    if told == "refused":
        connection.close()
        raise HostsFailed(f"the first host ({hosts.address}) refused this one: {answer['why']}")
    channel.trust()
    return channel


@dataclass
class _Service:
    """Runs workers by the number that the first host gives them, each request in a thread."""

    _channel: SealedChannel
    _launcher: Launcher
    _workers: dict[int, WorkerProcess] = field(default_factory=dict)
    _asking: threading.Thread | None = None
    _count: int = 0

    def serve(self) -> int:
        """Answer until the first host closes the connection; return the number of workers."""
        requests: dict[str, Callable[..., None]] = {
            "start": self._start,
            "ask": self._ask,
            "end": self._end,
        }
        try:
            while True:
                what, fields = checked(self._channel.receive(), *requests)
                requests[what](**fields)
        except (ChannelClosed, Garbled, WrongMessage) as error:
            busy = list(self._workers)
            for number in busy:
                self._end(number)
            self._channel.close()
            if isinstance(error, WrongMessage):
                raise HostsFailed(f"the first host sent a wrong message: {error}") from error
            if busy:
                raise HostsFailed("the first host is lost: its connection has ended") from None
            return self._count

    def _start(self, number: int, case: Case, timeout: float) -> None:
        try:
            self._workers[number] = self._launcher.start(case, timeout)
        except WorkerFailed as error:
            self._failed(error)
        else:
            self._count += 1
            self._channel.send(what="started", number=number)

    def _ask(self, number: int, command: Command, arguments: dict[str, Any]) -> None:
        worker = self._workers.get(number)
        if worker is None:  # ended because another host failed before this request came
            self._failed(WorkerFailed("killed", "the worker has already been ended"))
            return

        if "cpus" in arguments:  # each host has its own numbers
            arguments = {**arguments, "cpus": usable_cpus()}

        def ask() -> None:
            with contextlib.suppress(ChannelClosed):
                try:
                    answer = worker.ask(command, **arguments)
                except WorkerFailed as error:
                    self._failed(error)
                else:
                    self._channel.send(what="answer", answer=answer)

        self._asking = threading.Thread(target=ask)
        self._asking.start()

    def _end(self, number: int) -> None:
        worker = self._workers.pop(number, None)
        if worker is None:
            return
        worker.kill()
        if self._asking is not None:
            self._asking.join()
        self._launcher.end(worker)

    def _failed(self, error: WorkerFailed) -> None:
        known = explained(error, None, None)
        self._channel.send(
            what="failed", kind=known.kind, message=str(known), log_tail=known.log_tail
        )
