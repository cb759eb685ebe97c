"""Logs of children: their end is kept, their room is not."""

import os

import pytest

from harness.measure.workers import worker_log as logs


@pytest.fixture
def log():
    with logs.create() as made:
        yield made


def blocks(log):
    return os.fstat(log.fileno()).st_blocks * 512


@pytest.mark.parametrize("holes", [True, False])
def test_a_long_log_gives_its_room_back(log, monkeypatch, holes):
    """With holes its end stays, and what is written meanwhile; without, all goes."""
    if not holes:
        monkeypatch.setattr(logs, "_punch", lambda *_: False)
    monkeypatch.setattr(logs, "MOST_BYTES", 2**20)
    for number in range(40):
        os.write(log.fileno(), b"x" * 2**17 + b"\nline %d\n" % number)
        logs.shorten(log)
        assert blocks(log) <= 2**20 + 2**18
    os.write(log.fileno(), b"the end")
    assert logs.tail(log).endswith("the end")
    assert "line 39" in logs.tail(log) or not holes


def test_a_short_log_is_left_alone(log):
    """All of it."""
    os.write(log.fileno(), b"a line\n\xff\n")
    logs.shorten(log)
    assert logs.tail(log) == "a line\n\ufffd"


def test_the_list_of_modules_does_not_hide_the_last_words(log):
    """Which faulthandler prints below a trace."""
    os.write(log.fileno(), b"last words\nFatal Python error\n\nExtension modules: " + b"a, " * 3000)
    assert logs.tail(log) == "last words\nFatal Python error"


def test_a_closed_log_has_no_end(log):
    """Its worker has gone."""
    log.close()
    assert logs.tail(log) == ""
    logs.shorten(log)


def test_the_end_of_a_log_may_be_that_of_an_earlier_moment(log):
    """Before a worker added its traceback."""
    os.write(log.fileno(), b"printed\ntraceback\n")
    assert logs.tail(log, len("printed\n")) == "printed"
