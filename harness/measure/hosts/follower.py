"""The first host's side of another host of the job."""

import contextlib
from dataclasses import dataclass
from typing import Any

from harness.measure.hosts.about import Host
from harness.measure.hosts.messages import WrongMessage, checked
from harness.measure.hosts.sealed import SealedChannel
from harness.measure.workers.worker_process import HostLost, WorkerFailed
from harness.records import FailureKind
from harness.worker.channel import ChannelClosed, Garbled


@dataclass(eq=False)
class Follower:
    """Another host of the job, which has come in."""

    rank: int
    host: Host
    _channel: SealedChannel
    lost: HostLost | None = None  # why it answers no more
    awaited: bool = False  # whether it was lost and has not come back in time

    @property
    def name(self) -> str:
        """Its number and its name."""
        return f"host {self.rank} ({self.host.name})"

    def ask(self, what: str, wait: float, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Raises:
            HostLost: the host is late or lost.
            WorkerFailed: its worker failed.
        """
        if self.lost is not None:
            raise self.lost
        try:
            self._channel.send(what=what, **fields)
            told, answer = checked(self._channel.receive(wait), "started", "answer", "failed")
        except TimeoutError:
            raise self.lose("timeout", f"was silent for {wait:g} s") from None
        except (ChannelClosed, Garbled):
            raise self.lose("killed", "is lost: its connection has ended") from None
        except WrongMessage as error:
            raise self.lose("error", f"sent a wrong message: {error}") from None
        if told == "failed":
            message = f"{self.name}: {answer['message']}"
            raise WorkerFailed(answer["kind"], message, answer["log_tail"])
        return dict(answer.get("answer", {}))

    def lose(self, kind: FailureKind, what: str) -> HostLost:
        """Give this host up, and say why."""
        self.lost = HostLost(kind, f"{self.name} {what}")
        self.close()
        return self.lost

    def tell(self, what: str, **fields: Any) -> None:
        """Send a request that has no answer; a lost host ends its workers by itself."""
        with contextlib.suppress(ChannelClosed):
            self._channel.send(what=what, **fields)

    def close(self) -> None:
        """Close the connection, which ends the other host."""
        self._channel.close()
