"""Messages between hosts of a job, each sealed with a key that only this connection has.

Both sides send a nonce and derive the key from the job's secret and both nonces. Each message
carries an HMAC (RFC 2104) of its direction, its number and its text. So a peer without the secret
can send no message that is read, and one in between can neither change, repeat nor add any. A bare
handshake, as `multiprocessing.connection` has it, would let a peer in between hand it on and then
speak for itself. The text is not encrypted.
"""

import contextlib
import hashlib
import hmac
import itertools
import secrets
import socket
import threading
import time
from typing import Self

from harness.worker.channel import Channel, ChannelClosed, Garbled

HANDSHAKE_SECONDS = 5.0
_HANDSHAKE_BYTES = 2**16
_NONCE = 32  # bytes
_CONTEXT = b"training-harness hosts 2"
_MAC = 64  # characters of a hexadecimal SHA-256


class SealedChannel(Channel):
    """Messages to and from a host that knows the secret of the job; made by `open`.

    What is received without a valid seal is `Garbled`, before its text is looked at.
    """

    def __init__(self, sock: socket.socket, key: bytes, *, first: bool) -> None:
        super().__init__(sock)
        self._key = key
        self._ours, self._theirs = (b"first", b"other") if first else (b"other", b"first")
        self._sent, self._taken = itertools.count(), itertools.count()
        self._sending = threading.Lock()

    @classmethod
    def open(cls, sock: socket.socket, secret: bytes, *, first: bool) -> Self:
        """Exchange nonces over a new connection; `first` on the first host.

        Only the first message that is received proves that the other side knows the secret. Until
        `trust` is called, a message has at most 64 KiB.

        Raises:
            ChannelClosed: the other side has ended.
            TimeoutError: its nonce does not come within five seconds.
        """
        ours = secrets.token_bytes(_NONCE)
        try:
            _keep_alive(sock)
            sock.settimeout(HANDSHAKE_SECONDS)
            sock.sendall(ours)
            theirs = _exactly(sock, _NONCE)
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelClosed from error
        nonces = ours + theirs if first else theirs + ours
        key = hmac.digest(secret, _CONTEXT + nonces, hashlib.sha256)
        channel = cls(sock, key, first=first)
        channel.longest = _HANDSHAKE_BYTES
        return channel

    def trust(self) -> None:
        """Allow messages of any usual length: the other side has proved itself."""
        self.longest = Channel.longest

    def send(self, **message: object) -> None:
        """Send one message; several threads may."""
        with self._sending:  # so that messages leave in the order of their numbers
            super().send(**message)

    def close(self) -> None:
        """Close this side; a thread that is receiving gets `ChannelClosed`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        super().close()

    def _line(self, text: bytes) -> bytes:
        return self._mac(self._ours, next(self._sent), text) + text

    def _text(self, line: bytes) -> bytes:
        mac, text = line[:_MAC], line[_MAC:]
        if not hmac.compare_digest(mac, self._mac(self._theirs, next(self._taken), text)):
            raise Garbled
        return text

    def _mac(self, whose: bytes, number: int, text: bytes) -> bytes:
        sealed = whose + number.to_bytes(8, "big") + text
        return hmac.digest(self._key, sealed, hashlib.sha256).hex().encode()


def _exactly(sock: socket.socket, count: int) -> bytes:
    """Receive so many bytes, all of them in time."""
    found, deadline = b"", time.monotonic() + HANDSHAKE_SECONDS
    while len(found) < count:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        data = sock.recv(count - len(found))
        if not data:
            raise ChannelClosed
        found += data
    return found


def _keep_alive(sock: socket.socket) -> None:
    """Notice within two minutes that the other host has lost its power or its network."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
