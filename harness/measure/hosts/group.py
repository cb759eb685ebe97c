"""What the first host of a job does: run its own workers together with those of the others.

All workers of a case get each command at the same time, since the all-reduce in a step waits for
the last one. A late, wrong or missing answer of one worker ends all of them.
"""

import concurrent.futures
import contextlib
import itertools
import platform
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.measure.hosts.discovery import Hosts
from harness.measure.launcher import Launcher
from harness.measure.machine.facts import versions
from harness.measure.worker_process import WorkerFailed, WorkerProcess
from harness.records import Case, to_json
from harness.worker.channel import Channel, ChannelClosed, Command, Garbled

VERSION = 1
_MARGIN_SECONDS = 15.0  # so that the other host's own time limit is reached first
_HELLO_SECONDS = 10.0
_ALIKE = ("harness", "python", "libraries")


class HostsFailed(HarnessError):
    """The hosts of a job cannot start or go on together."""


def about() -> dict[str, Any]:
    """Return versions of this host; all hosts of a job must have the same."""
    found = versions()
    return {
        "harness": found.pop("training-harness", None),
        "python": platform.python_version(),
        "boot": _boot(),
        "libraries": {name: found.get(name) for name in ("keras", "jax", "jaxlib", "numpy")},
    }


def _boot() -> str:
    """Return an id of the running machine, the same in all its containers: see random(4)."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname()


@dataclass(eq=False)
class Follower:
    """Another host of the job, which has connected to this one."""

    rank: int
    name: str
    boot: str  # id of its running machine
    _channel: Channel
    lost: str | None = None  # why it answers no more

    def ask(self, what: str, wait: float, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Raises:
            WorkerFailed: its worker did, or the host is late or lost.
        """
        if self.lost is not None:
            raise WorkerFailed("killed", self.lost)
        try:
            self._channel.send(what=what, **arguments)
            answer = self._channel.receive(wait)
        except TimeoutError:
            self.lost = f"{self.name} was silent for {wait:g} s"
            raise WorkerFailed("timeout", self.lost) from None
        except (ChannelClosed, Garbled):
            self.lost = f"{self.name} is lost: its connection has ended"
            raise WorkerFailed("killed", self.lost) from None
        if "failed" in answer:
            message = f"{self.name}: {answer['message']}"
            raise WorkerFailed(answer["failed"], message, answer["log_tail"])
        return answer

    def tell(self, what: str, **arguments: Any) -> None:
        """Send a request that has no answer; a lost host ends its workers by itself."""
        with contextlib.suppress(ChannelClosed):
            self._channel.send(what=what, **arguments)

    def close(self) -> None:
        """Close the connection, which ends the other host."""
        self._channel.close()


def gather(hosts: Hosts, about: dict[str, Any], timeout: float) -> list[Follower]:
    """Wait so many seconds for the other hosts of a job; see `about` for the versions of this one.

    Raises:
        HostsFailed: a host is late or has other versions.
    """
    found: dict[int, Follower] = {}
    deadline = time.monotonic() + timeout
    with contextlib.ExitStack() as connections:
        try:
            with socket.create_server(("", hosts.port), backlog=hosts.size) as server:
                while len(found) < hosts.size - 1:
                    server.settimeout(max(0.01, deadline - time.monotonic()))
                    connection, (address, *_) = server.accept()
                    follower = _accepted(Channel(connection), address, hosts, about)
                    if follower is not None:
                        connections.callback(follower.close)
                        found[follower.rank] = follower
        except TimeoutError:
            late = [str(rank) for rank in range(1, hosts.size) if rank not in found]
            raise HostsFailed(
                f"host {', '.join(late)} of {hosts.size} did not connect within {timeout:g} s; "
                f"the first one listens on {hosts.address}, port {hosts.port} ({hosts.said_by})"
            ) from None
        except OSError as error:
            raise HostsFailed(f"cannot listen on port {hosts.port}: {error.strerror}") from error
        connections.pop_all()  # all have come: the connections stay open
    return [found[rank] for rank in sorted(found)]


def _accepted(
    channel: Channel, address: str, hosts: Hosts, about: dict[str, Any]
) -> Follower | None:
    """Accept a host of this job; close any other connection."""
    try:
        hello = channel.receive(_HELLO_SECONDS)
        if hello.get("token") != hosts.token or not 0 < int(hello.get("rank", 0)) < hosts.size:
            channel.close()
            return None
        rank, there = int(hello["rank"]), hello["about"]
        name = f"host {rank} ({hello.get('name', address)})"
        follower = Follower(rank, name, there["boot"], channel)
        differs = "; ".join(
            f"{what} {there.get(what)} there, {about.get(what)} here"
            for what in _ALIKE
            if there.get(what) != about.get(what)
        )
        if differs:
            channel.send(refused=f"it differs: {differs}")
            raise HostsFailed(f"{name} differs: {differs}")
        channel.send(welcome=VERSION)
    except (TimeoutError, ChannelClosed, Garbled, ValueError, KeyError, AttributeError):
        channel.close()
        return None
    return follower


class GroupWorker:
    """A worker on each host, which train together; its `pid` is that of the one on this host."""

    _numbers = itertools.count(1)

    def __init__(
        self, local: WorkerProcess, followers: list[Follower], hosts: Hosts, timeout: float
    ) -> None:
        self.pid = local.pid
        self.local = local
        self._followers = followers
        self._hosts = hosts
        self._timeout = timeout + _MARGIN_SECONDS
        self._number = next(self._numbers)
        self._pool = concurrent.futures.ThreadPoolExecutor(len(followers) + 1)
        self._tasks: list[concurrent.futures.Future[dict[str, Any]]] = []

    def start_others(self, case: Case, timeout: float) -> None:
        """Start the workers on the other hosts; raise `WorkerFailed` if one could not be."""
        request = {"number": self._number, "case": to_json(case), "timeout": timeout}
        for follower in self._followers:
            follower.ask("start", self._timeout, **request)

    def ask(self, command: Command, **arguments: Any) -> dict[str, Any]:
        """Send a command to all workers; return the answer of the one on this host.

        Raises:
            WorkerFailed: a worker did; all have been ended.
        """
        if command == "open":
            arguments["group"] = {"size": self._hosts.size, "address": self._coordinator()}
        tasks = self._tasks = [self._pool.submit(self.local.ask, command, **_ranked(arguments, 0))]
        for follower in self._followers:
            ranked = _ranked(arguments, follower.rank)
            request = {"number": self._number, "command": command, "arguments": ranked}
            tasks.append(self._pool.submit(follower.ask, "ask", self._timeout, **request))
        done, _ = concurrent.futures.wait(tasks, return_when=concurrent.futures.FIRST_EXCEPTION)
        errors = [error for task in tasks if task in done and (error := task.exception())]
        if errors:
            self._end_others()  # so that none waits for the one that has failed
            self.local.kill()
            concurrent.futures.wait(tasks)
            # That a host is lost explains the errors of the others.
            lost = next((f.lost for f in self._followers if f.lost), None)
            raise WorkerFailed("killed", lost) if lost else errors[-1]
        answer = tasks[0].result()
        if "facts" in answer:
            answer["facts"]["machines"] = len({_boot(), *(f.boot for f in self._followers)})
        return answer

    def _end_others(self) -> None:
        for follower in self._followers:
            follower.tell("end", number=self._number)

    def _coordinator(self) -> str:
        """Return an address of this host with a free port."""
        with socket.create_server(("", 0)) as server:
            return f"{self._hosts.address}:{server.getsockname()[1]}"

    def end(self) -> None:
        """End the workers on the other hosts; the launcher ends the one on this host."""
        self._end_others()
        if not all(task.done() for task in self._tasks):  # interrupted while it waited
            self.local.kill()
        self._pool.shutdown()


def _ranked(arguments: dict[str, Any], rank: int) -> dict[str, Any]:
    group = arguments.get("group")
    return arguments if group is None else {**arguments, "group": {**group, "rank": rank}}


@dataclass(eq=False)
class GroupLauncher:
    """Starts workers on this host, or one on each host; `gather` finds the others."""

    _launcher: Launcher
    _hosts: Hosts
    _followers: list[Follower]

    def prepare(self, case: Case, *, wait: bool = False) -> None:
        """Import the framework on this host; the others do so with their first worker."""
        self._launcher.prepare(case, wait=wait)

    def preload(self, cases: Iterable[Case], coming: Iterable[Case]) -> None:
        """Do what `Launcher.preload` does, on this host."""
        self._launcher.preload(cases, coming)

    def start(self, case: Case, timeout: float) -> WorkerProcess | GroupWorker:
        """Start one fresh worker on every host of the case.

        Raises:
            WorkerFailed: one could not be started.
        """
        local = self._launcher.start(case, timeout)
        if case.hosts == 1:
            return local
        worker = GroupWorker(local, self._followers, self._hosts, timeout)
        try:
            worker.start_others(case, timeout)
        except WorkerFailed:
            self.end(worker)
            raise
        return worker

    def end(self, worker: WorkerProcess | GroupWorker) -> None:
        """End a worker, on every host."""
        if isinstance(worker, GroupWorker):
            worker.end()
            worker = worker.local
        self._launcher.end(worker)

    def close(self) -> None:
        """End every worker and the other hosts."""
        for follower in self._followers:
            follower.close()
        self._launcher.close()
