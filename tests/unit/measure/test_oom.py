"""Failures that have to do with memory."""

from harness.measure import oom
from harness.measure.workers.worker_process import WorkerFailed


def test_what_was_free_stands_beside_what_was_in_use(monkeypatch):
    """The kind and the log stay."""
    monkeypatch.setattr(oom, "memory_available", lambda: 3 * 2**30)
    failed = WorkerFailed("oom", "MemoryError: no room", "log", rss_bytes=50 * 2**20)
    found = oom.explained(failed, None, None)
    assert str(found) == "MemoryError: no room (50 MiB were in use, 3072 MiB free)"
    assert (found.kind, found.log_tail) == ("oom", "log")


def test_a_failure_without_memory_is_left_as_it_is():
    """Nothing is added."""
    failed = WorkerFailed("error", "shapes differ")
    assert oom.explained(failed, 0, 2**20) is failed
