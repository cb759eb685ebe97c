"""The protocol of parent and worker: one JSON object per line over a socket.

Frameworks print to stdout and stderr from C++, so results never travel there.
"""

import json
import socket
from typing import Any, Literal, get_args

Block = Literal["open", "warm_up", "round", "counters", "fit"]
Rates = Literal["product_rate", "copy_rate", "allreduce"]
Full = Literal["open_training", "train", "next_epoch"]
Command = Literal["inspect", Block, Rates, Full]
COMMANDS: tuple[Command, ...] = get_args(Command)
_LONGEST = 2**28  # bytes per message; the mistakes of a training take a thousandth


class Garbled(Exception):
    """The bytes received are no message: other code wrote to the descriptor."""


class ChannelClosed(Exception):
    """The other side has ended."""


class Channel:
    """Messages, each a dict, over a stream socket; `ChannelClosed` if the other side has ended."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()

    def send(self, **message: Any) -> None:
        """Send one message."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise ChannelClosed from error

    def receive(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait for the next message; `TimeoutError` after some seconds of silence, if limited."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LONGEST:
                raise Garbled
            try:
                self._socket.settimeout(timeout)
                data = self._socket.recv(65536)
            except TimeoutError:  # an OSError, too
                raise
            except OSError as error:
                raise ChannelClosed from error
            if not data:
                raise ChannelClosed
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Garbled from error
        if not isinstance(message, dict):
            raise Garbled
        return message

    def close(self) -> None:
        """Close this side."""
        self._socket.close()
