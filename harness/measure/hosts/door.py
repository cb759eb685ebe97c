"""Where the other hosts of a job come in: the first host listens until its run ends.

Each peer is asked in a thread of its own, so that one that is silent or sends anything else delays
nobody. Who has come may be lost and come again.
"""

import contextlib
import errno
import socket
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from harness import units
from harness.errors import HarnessError
from harness.measure.hosts import keys
from harness.measure.hosts.about import Host
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.follower import Follower
from harness.measure.hosts.messages import WrongMessage, checked
from harness.measure.hosts.sealed import HANDSHAKE_SECONDS, SealedChannel
from harness.measure.workers.worker_process import HostLost
from harness.records import Withheld
from harness.worker.channel import ChannelClosed, Garbled

RETURN_SECONDS = 60.0  # that a lost host has to come back
_RETRY_SECONDS = 0.25
_MOST_PEERS = 64  # that are being asked; the oldest has to make room


class HostsFailed(HarnessError):
    """The hosts of a job cannot start or go on together."""


@dataclass(eq=False)
class Door:
    """Lets the other hosts of a job in, those that know its secret; made by `open`.

    Attributes:
        on_wait: Called with a line before a lost host is waited for.
    """

    _hosts: Hosts
    _here: Host
    _secret: bytes
    _server: socket.socket
    _open: contextlib.ExitStack
    on_wait: Callable[[str], None] = lambda _: None
    _members: dict[int, Follower] = field(default_factory=dict)
    _asked: OrderedDict[int, socket.socket] = field(default_factory=OrderedDict)
    _strangers: Counter[str] = field(default_factory=Counter)  # by address
    _refused: HostsFailed | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    def open(cls, hosts: Hosts, folder: Path, here: Host, timeout: float) -> Self:
        """Listen where the job says, and let hosts in that know its secret.

        Without `HARNESS_HOSTS_KEY` the secret is written into the folder. A port that is taken is
        waited for, `timeout` seconds at most.

        Raises:
            HostsFailed: the address is none of this host, or the port stays taken.
            NoKey: the secret cannot be written.
        """
        with contextlib.ExitStack() as opened:
            server = opened.enter_context(_listening(hosts, timeout))
            secret = keys.given() or opened.enter_context(keys.written(folder, hosts))
            door = cls(hosts, here, secret, server, opened.pop_all())
        threading.Thread(target=door._serve, name="door", daemon=True).start()
        return door

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def wait(self, timeout: float) -> None:
        """Wait so many seconds until all hosts are in.

        Raises:
            HostsFailed: a host is late or has other versions.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._refused or not self._missing(), timeout)
            if self._refused:
                raise self._refused
            if missing := self._missing():
                late = ", ".join(map(str, missing))
                raise HostsFailed(
                    f"host {late} of {self._hosts.size} did not connect within {timeout:g} s; "
                    f"the first one listens on {_where(self._server)} ({self._hosts.said_by})"
                    + self._sent_away()
                )

    def _missing(self) -> list[int]:
        return [rank for rank in range(1, self._hosts.size) if rank not in self._members]

    def _sent_away(self) -> str:
        many = self._strangers.total()
        whose = ", ".join(address for address, _ in self._strangers.most_common(3))
        return f"; {many} connections without the job's key were closed ({whose})" if many else ""

    def followers(self, timeout: float) -> list[Follower]:
        """Return the other hosts by their numbers; one that is lost may come back in time.

        Raises:
            HostLost: it did not.
        """

        def lost() -> list[Follower]:
            return [one for one in self._in_order() if one.lost]

        with self._changed:
            if awaited := [one for one in lost() if not one.awaited]:
                names = ", ".join(one.name for one in awaited)
                self.on_wait(f"{names} is lost; it is waited for, {timeout:g} s at most")
                self._changed.wait_for(lambda: not lost(), timeout)
            for one in lost():
                one.awaited = True
                assert one.lost is not None
                message = f"{one.lost}; it did not come back within {timeout:g} s"
                raise HostLost(one.lost.kind, message, final=True)
            return self._in_order()

    def _in_order(self) -> list[Follower]:
        return [self._members[rank] for rank in sorted(self._members)]

    def machines(self) -> int:
        """Count the running machines of the job."""
        return len({self._here.boot, *(one.host.boot for one in self._in_order())})

    def withheld(self) -> Iterator[Withheld]:
        """Yield what the starters of the other hosts hold back, and which has other CPUs."""
        ours = self._here.cpus
        for one in self._in_order():
            for part in one.host.withheld:
                yield Withheld(f"{one.name}: {part.what}", part.advice)
            if one.host.cpus != ours:
                there = f"{one.name} may use {units.plural(one.host.cpus, 'CPU')}, this host {ours}"
                yield Withheld(there, "give every host of the job as many")

    def partners(self) -> set[int]:
        """Return the process ids of those other hosts that are on this machine."""
        hosts = [one.host for one in self._in_order()]
        return {host.pid for host in hosts if host.boot == self._here.boot}

    def close(self) -> None:
        """Let nobody in any more, and end the other hosts; a second call does nothing."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._open.close()
        with self._changed:
            for member in self._members.values():
                member.close()
            for peer in self._asked.values():
                _shut(peer)

    def _serve(self) -> None:
        while True:
            try:
                connection, (address, *_) = self._server.accept()
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE, errno.ECONNABORTED}:
                    return  # the door is closed
                time.sleep(_RETRY_SECONDS)
                continue
            with self._changed:
                self._asked[id(connection)] = connection
                if len(self._asked) > _MOST_PEERS:
                    _, oldest = self._asked.popitem(last=False)
                    _shut(oldest)
            threading.Thread(target=self._ask, args=(connection, address), daemon=True).start()

    def _ask(self, connection: socket.socket, address: str) -> None:
        """Let a peer in that knows the secret; close any other connection."""
        begin = time.monotonic()
        try:
            channel = SealedChannel.open(connection, self._secret, first=True)
            left = HANDSHAKE_SECONDS - (time.monotonic() - begin)
            _, told = checked(channel.receive(left), "join")
        except (TimeoutError, ChannelClosed, Garbled, WrongMessage):
            connection.close()
            with self._changed:
                self._strangers[address] += 1
            return
        finally:
            with self._changed:
                self._asked.pop(id(connection), None)
        channel.trust()
        self._admit(Follower(told["rank"], told["host"], channel))

    def _admit(self, follower: Follower) -> None:
        if not 0 < follower.rank < self._hosts.size:
            why = f"it is host {follower.rank} of {self._hosts.size}"
        elif differs := self._here.differences(follower.host):
            why = f"it differs: {differs}"
        else:
            follower.tell("welcome")
            with self._changed:
                before = self._members.get(follower.rank)
                self._members[follower.rank] = follower
                self._changed.notify_all()
            if before is not None and before.lost is None:
                before.lose("killed", "has come in anew")
            return
        follower.tell("refused", why=why)
        follower.close()
        with self._changed:
            self._refused = HostsFailed(f"{follower.name} {why.removeprefix('it ')}")
            self._changed.notify_all()


def _listening(hosts: Hosts, timeout: float) -> socket.socket:
    """Listen on the address of the job, and on no other of this host."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            family, _, _, _, where = socket.getaddrinfo(
                hosts.address, hosts.port, type=socket.SOCK_STREAM
            )[0]
            return socket.create_server(where[:2], family=family, backlog=_MOST_PEERS)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise HostsFailed(
                    f"{hosts.address} is no address of this host, so it cannot be the first one; "
                    "set MASTER_ADDR to an address of the host of rank 0"
                ) from error
            if time.monotonic() >= deadline:
                raise HostsFailed(
                    f"cannot listen on {hosts.address}, port {hosts.port}: {error.strerror}; "
                    "MASTER_PORT names another port, on every host"
                ) from error
            time.sleep(_RETRY_SECONDS)


def _where(server: socket.socket) -> str:
    address, port, *_ = server.getsockname()
    only = ", which this machine alone can reach" if address in ("127.0.0.1", "::1") else ""
    return f"{address}{only}, port {port}"


def _shut(sock: socket.socket) -> None:
    """End a connection at once, in whatever thread it is used."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
