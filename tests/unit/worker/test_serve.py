"""Commands and failures over a channel, without a framework."""

import socket

import pytest

from harness.worker import serve, user_errors
from harness.worker.channel import COMMANDS, Channel
from harness.worker.commands import Commands


@pytest.fixture
def ends():
    ours, theirs = map(Channel, socket.socketpair())
    yield ours, theirs
    ours.close()


def test_every_command_is_a_method():
    """Only `next_epoch` is answered within `train`."""
    assert {"next_epoch"} == {name for name in COMMANDS if not hasattr(Commands, name)}


def test_what_is_no_command_is_a_failure(ends):
    """And nothing of that name is called."""
    ours, theirs = ends
    ours.send(command="_prepare")
    assert serve.serve(theirs) == 1
    answer = ours.receive()
    assert (answer["kind"], answer["message"]) == ("error", "ValueError: no command '_prepare'")


@pytest.mark.parametrize("style", ["short", "full"])
def test_a_failure_tells_its_traceback_in_the_style_that_was_asked_for(ends, monkeypatch, style):
    """Any command may say it; the log has it in full."""
    ours, theirs = ends
    monkeypatch.setattr(
        Commands, "copy_rate", lambda self, seconds: compile("=", "mine.py", "exec")
    )
    ours.send(command="copy_rate", seconds=1, traceback=style)
    assert serve.serve(theirs) == 1
    trace = ours.receive()["trace"]
    assert 'File "mine.py", line 1' in trace
    assert ("harness/worker/serve.py" in trace) == (style == "full")


@pytest.mark.parametrize(("limit", "words"), [(None, ""), (2**30, " (50 MiB were in use, 1")])
def test_memory_that_ran_out_says_how_much_was_in_use(ends, monkeypatch, limit, words):
    """The parent adds what was free, where no limit was set."""
    ours, theirs = ends

    def copy_rate(self, seconds):
        self.most_bytes = limit
        raise MemoryError("no room")

    monkeypatch.setattr(Commands, "copy_rate", copy_rate)
    monkeypatch.setattr("harness.worker.resources.status_bytes", lambda name: 50 * 2**20)
    ours.send(command="copy_rate", seconds=1)
    assert serve.serve(theirs) == 1
    answer = ours.receive()
    assert answer["message"].startswith(f"MemoryError: no room{words}")
    assert answer["rss_bytes"] == (None if limit else 50 * 2**20)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "oom"),
        (type("ResourceExhaustedError", (Exception,), {})("shape"), "oom"),
        (type("OutOfMemoryError", (RuntimeError,), {})("cuda"), "oom"),
        (RuntimeError("RESOURCE_EXHAUSTED: 2 GiB"), "oom"),
        (RuntimeError("could not create a primitive; Status: 1, message: could not create"), "oom"),
        (RuntimeError("INTERNAL: failed to allocate 2 GiB: CUDA_ERROR_OUT_OF_MEMORY"), "oom"),
        (RuntimeError("CUDA error: out of memory"), "oom"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "oom"),
        (RuntimeError("failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED"), "oom"),
        (type("NotFoundError", (Exception,), {})("No algorithm worked!"), "oom"),
        (RuntimeError("Out of memory while trying to allocate 9 bytes"), "oom"),
        (RuntimeError("shapes differ"), "error"),
        (user_errors.Rejected("diverged", "nan"), "diverged"),
    ],
)
def test_out_of_memory_is_seen_in_type_or_text(error, kind):
    """As each framework says it."""
    assert user_errors.kind(error) == kind
