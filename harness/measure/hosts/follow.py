"""What every host of a job but the first does: run workers at the first host's request.

Model, data and program must have the same paths on each host.
"""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.group import HostsFailed
from harness.measure.launcher import Launcher
from harness.measure.machine.facts import usable_cpus
from harness.measure.oom import explained
from harness.measure.worker_process import WorkerFailed, WorkerProcess
from harness.records import Case, from_json
from harness.worker.channel import Channel, ChannelClosed, Command, Garbled

_RETRY_SECONDS = 0.5


def follow(hosts: Hosts, about: dict[str, Any], launcher: Launcher, timeout: float) -> int:
    """Serve the first host until it closes the connection; return the number of workers started.

    `about` holds the versions of this host, see `group.about`; `timeout` is in seconds, for the
    first host to answer.

    Raises:
        HostsFailed: the first host is late, refuses this one, or is lost during the run.
    """
    channel = _connected(hosts, timeout)
    channel.send(token=hosts.token, rank=hosts.rank, name=socket.gethostname(), about=about)
    try:
        answer = channel.receive(timeout)
    except (ChannelClosed, TimeoutError, Garbled):
        raise HostsFailed(
            f"the first host ({hosts.address}) did not accept host {hosts.rank}; of another job?"
        ) from None
    if "refused" in answer:
        raise HostsFailed(f"the first host ({hosts.address}) refused this one: {answer['refused']}")
    return _Service(channel, launcher).serve()


def _connected(hosts: Hosts, timeout: float) -> Channel:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return Channel(socket.create_connection((hosts.address, hosts.port), _RETRY_SECONDS))
        except OSError as error:
            if time.monotonic() >= deadline:
                raise HostsFailed(
                    f"the first host ({hosts.address}, port {hosts.port}) did not answer within "
                    f"{timeout:g} s: {error}"
                ) from None
            time.sleep(_RETRY_SECONDS)


@dataclass
class _Service:
    """Runs workers by the number that the first host gives them, each request in a thread."""

    _channel: Channel
    _launcher: Launcher
    _workers: dict[int, WorkerProcess] = field(default_factory=dict)
    _asking: threading.Thread | None = None
    _count: int = 0

    def serve(self) -> int:
        """Answer until the first host closes the connection; return the number of workers."""
        try:
            while True:
                message = self._channel.receive()
                getattr(self, f"_{message.pop('what')}")(**message)
        except (ChannelClosed, Garbled):
            busy = list(self._workers)
            for number in busy:
                self._end(number)
            if busy:
                raise HostsFailed("the first host is lost: its connection has ended") from None
            return self._count

    def _start(self, number: int, case: dict[str, Any], timeout: float) -> None:
        try:
            self._workers[number] = self._launcher.start(from_json(Case, case), timeout)
        except WorkerFailed as error:
            self._failed(error)
        else:
            self._count += 1
            self._channel.send(started=number)

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
                    self._channel.send(**answer)

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
        self._channel.send(failed=known.kind, message=str(known), log_tail=known.log_tail)
