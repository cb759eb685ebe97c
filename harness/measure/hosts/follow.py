"""The side of every host of a job but the first: it does what the first one asks, and reports.

The model, the data and the program must lie on each host under the same names.
"""

import contextlib
import socket
import threading
import time
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
    """Serve the first host until it lets go.

    Args:
        hosts: The job's.
        about: What this one is.
        launcher: Of this host.
        timeout: Seconds until the first one must be there.

    Returns:
        How many workers it asked for.

    Raises:
        HostsFailed: the first one is late, does not take this one, or is lost in mid-run.
    """
    channel = _connected(hosts, timeout)
    channel.send(token=hosts.token, rank=hosts.rank, name=socket.gethostname(), about=about)
    try:
        answer = channel.receive(timeout)
    except (ChannelClosed, TimeoutError, Garbled):
        raise HostsFailed(
            f"the first host ({hosts.address}) did not take in host {hosts.rank}: another job?"
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


class _Service:
    """Workers by the number that the first host gives them; each is asked in its own thread."""

    def __init__(self, channel: Channel, launcher: Launcher) -> None:
        self._channel = channel
        self._launcher = launcher
        self._workers: dict[int, WorkerProcess] = {}
        self._asking: threading.Thread | None = None
        self._count = 0

    def serve(self) -> int:
        """Until the first host closes the connection."""
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
            self._failed(explained(error, None, None))
        else:
            self._count += 1
            self._channel.send(started=number)

    def _ask(self, number: int, command: Command, arguments: dict[str, Any]) -> None:
        worker = self._workers.get(number)
        if worker is None:  # another host's failure was told sooner than this was asked
            self._failed(WorkerFailed("killed", "its worker has been ended"))
            return

        if "cpus" in arguments:  # they are numbered on each host by itself
            arguments = {**arguments, "cpus": usable_cpus()}

        def ask() -> None:
            with contextlib.suppress(ChannelClosed):
                try:
                    answer = worker.ask(command, **arguments)
                except WorkerFailed as error:
                    self._failed(explained(error, None, None))
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
        self._channel.send(failed=error.kind, message=str(error), log_tail=error.log_tail)
