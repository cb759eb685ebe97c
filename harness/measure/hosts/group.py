"""What the first host of a job does: run its own workers together with those of the others.

All workers of a case get each command at the same time, since the all-reduce in a step waits for
the last one. A late, wrong or missing answer of one worker ends all of them.
"""

import concurrent.futures
import itertools
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.door import RETURN_SECONDS, Door
from harness.measure.hosts.follower import Follower
from harness.measure.workers.launcher import Launcher
from harness.measure.workers.worker_process import WorkerFailed, WorkerProcess
from harness.records import Case, to_json
from harness.worker.channel import Command

_MARGIN_SECONDS = 15.0  # so that the other host's own time limit is reached first


class GroupWorker:
    """A worker on each host, which train together; its `pid` is that of the one on this host.

    Args:
        local: The worker on this host.
        followers: The other hosts.
        address: Of this host, for the others.
        machines: Number of running machines.
        timeout: Longest silence, in seconds.
    """

    _numbers = itertools.count(1)

    def __init__(
        self,
        local: WorkerProcess,
        followers: list[Follower],
        address: str,
        machines: int,
        timeout: float,
    ) -> None:
        self.pid = local.pid
        self.spawned_instead = local.spawned_instead
        self.local = local
        self._followers = followers
        self._address = address
        self._machines = machines
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
            address = self._coordinator()
            arguments["group"] = {"size": len(self._followers) + 1, "address": address}
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
            raise lost or errors[-1]
        answer = tasks[0].result()
        if "facts" in answer:
            answer["facts"]["machines"] = self._machines
        return answer

    def _end_others(self) -> None:
        for follower in self._followers:
            follower.tell("end", number=self._number)

    def _coordinator(self) -> str:
        """Return an address of this host with a free port."""
        family = socket.getaddrinfo(self._address, None, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((self._address, 0), family=family) as server:
            port = server.getsockname()[1]
        address = f"[{self._address}]" if ":" in self._address else self._address
        return f"{address}:{port}"

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
    """Starts workers on this host, or one on each host that has come in by the door."""

    _launcher: Launcher
    _hosts: Hosts
    _door: Door

    def prepare(self, case: Case, *, wait: bool = False) -> None:
        """Import the framework on this host; the others do so with their first worker."""
        self._launcher.prepare(case, wait=wait)

    def preload(self, cases: Iterable[Case], coming: Iterable[Case]) -> None:
        """Do what `Launcher.preload` does, on this host."""
        self._launcher.preload(cases, coming)

    def start(self, case: Case, timeout: float) -> WorkerProcess | GroupWorker:
        """Start one fresh worker on every host of the case.

        Raises:
            WorkerFailed: one could not be started, or a lost host has not come back.
        """
        if case.hosts == 1:
            return self._launcher.start(case, timeout)
        followers = self._door.followers(min(timeout, RETURN_SECONDS))
        local, machines = self._launcher.start(case, timeout), self._door.machines()
        worker = GroupWorker(local, followers, self._hosts.address, machines, timeout)
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
        self._door.close()
        self._launcher.close()
