"""Messages over a socket, and what is none."""

import socket

import pytest

from harness.worker.channel import Channel, ChannelClosed, Garbled


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), theirs


def test_messages_come_as_they_were_sent(ends):
    """However they are cut on the way."""
    ours, theirs = ends
    theirs.sendall(b'{"event": "answer", "n')
    theirs.sendall(b'": 1}\n{"event": "progress"}\n')
    assert ours.receive(1.0) == {"event": "answer", "n": 1}
    assert ours.receive(1.0) == {"event": "progress"}


@pytest.mark.parametrize("line", [b"]garbage", b"\xff\xfe", b"7", b"", b"[" * 100_000])
def test_what_is_no_message_is_garbled(ends, line):
    """Text of another, bytes, a number, nothing, too deep."""
    ours, theirs = ends
    theirs.sendall(line + b"\n")
    with pytest.raises(Garbled):
        ours.receive(1.0)


def test_a_message_without_an_end_is_garbled(ends, monkeypatch):
    """Before it fills the memory."""
    monkeypatch.setattr(Channel, "longest", 1000)
    ours, theirs = ends
    theirs.sendall(b"x" * 2000)
    with pytest.raises(Garbled):
        ours.receive(1.0)


def test_silence_and_a_closed_end_are_told_apart(ends):
    """A timeout, and an end."""
    ours, theirs = ends
    with pytest.raises(TimeoutError):
        ours.receive(0.01)
    theirs.close()
    with pytest.raises(ChannelClosed):
        ours.receive(0.01)
