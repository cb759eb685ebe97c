"""The protocol of parent and worker: one JSON object per line over a socket.

Frameworks print to stdout and stderr from C++, so results never travel there.
"""

import json
import socket
import time
from typing import Any, Literal, get_args

Block = Literal["open", "warm_up", "round", "counters", "fit"]
Rates = Literal["product_rate", "copy_rate", "allreduce"]
Profiled = Literal["profile"]
Full = Literal["open_training", "train", "next_epoch"]
Command = Literal["inspect", Block, Rates, Profiled, Full]
COMMANDS: tuple[Command, ...] = get_args(Command)


class Garbled(Exception):
    """The bytes received are no message: other code wrote to the descriptor."""


class ChannelClosed(Exception):
    """The other side has ended."""


class Channel:
    """Messages, each a dict, over a stream socket; `ChannelClosed` if the other side has ended."""

    longest = 2**28  # bytes per message; the mistakes of a training take a thousandth

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()

    def send(self, **message: Any) -> None:
        """Send one message."""
        try:
            self._socket.settimeout(None)  # that of the last `receive` is not meant here
            self._socket.sendall(self._line(json.dumps(message).encode()) + b"\n")
        except OSError as error:
            raise ChannelClosed from error

    def _line(self, text: bytes) -> bytes:
        """Return what is sent of a message."""
        return text

    def _text(self, line: bytes) -> bytes:
        """Return the message of what was received; `Garbled` if it is none."""
        return line

    def receive(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait for the next message; `TimeoutError` if it does not come within some seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._buffer:
            if len(self._buffer) > self.longest:
                raise Garbled
            self._buffer += self._received(deadline)
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(self._text(bytes(line)))
        except (ValueError, RecursionError) as error:
            raise Garbled from error
        if not isinstance(message, dict):
            raise Garbled
        return message

    def _received(self, deadline: float | None) -> bytes:
        left = None if deadline is None else deadline - time.monotonic()
        try:
            self._socket.settimeout(left if left is None else max(0.001, left))
            data = self._socket.recv(65536)
        except TimeoutError:  # an OSError, too
            raise
        except OSError as error:
            raise ChannelClosed from error
        if not data:
            raise ChannelClosed
        return data

    def close(self) -> None:
        """Close this side."""
        self._socket.close()
