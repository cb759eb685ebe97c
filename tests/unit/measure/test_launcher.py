"""Which frameworks are imported side by side, over stand-ins for the servers."""

import os

import pytest

from harness.measure.versions.place import HERE
from harness.measure.workers import launcher as launchers
from harness.measure.workers.launcher import Launcher
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case

PLAIN = Case("baseline", "synthetic", 64)
SETTINGS = [Case("baseline", "synthetic", 64, levers=(f"env:A={n}",)) for n in range(3)]


class FakeServer:
    """Notes when it is started and waited for."""

    def __init__(self, name, happened, broken):
        self._name, self._happened, self._broken = name, happened, broken

    def wait_preloaded(self):
        self._happened.append(f"wait {self._name}")
        if self._broken:
            raise WorkerFailed("error", "no such framework")

    def close(self):
        self._happened.append(f"close {self._name}")


@pytest.fixture
def happened(monkeypatch):
    """What the servers do, in order; Torch cannot be imported."""
    found = []

    def start(backend, place, environment):
        name = f"A={environment['A']}" if "A" in environment else backend
        found.append(f"start {name}")
        return FakeServer(name, found, backend == "torch")

    monkeypatch.setattr(launchers.Server, "start", start)
    return found


def test_the_next_framework_is_imported_beside_the_one_that_is_needed(happened):
    """One more, and only while something is imported anyway."""
    made = Launcher("fork")
    made.preload([PLAIN, PLAIN], [PLAIN, *SETTINGS])
    assert happened == ["start tensorflow", "start A=0", "wait tensorflow", "wait A=0"]
    happened.clear()
    made.preload([SETTINGS[0]], SETTINGS)
    assert happened == []
    made.preload([SETTINGS[1]], SETTINGS)
    assert happened == ["start A=1", "start A=2", "wait A=1", "wait A=2"]


def test_an_import_that_fails_is_raised_where_it_is_needed(happened):
    """Not beside another one, which goes on."""
    made, torch = Launcher("fork"), Case("baseline", "synthetic", 64, backend="torch")
    made.preload([PLAIN], [torch])
    waits = ["wait tensorflow", "wait torch", "close torch"]
    assert happened == ["start tensorflow", "start torch", *waits]
    with pytest.raises(WorkerFailed, match="no such framework"):
        made.prepare(torch, wait=True)


def test_a_worker_finds_what_this_process_finds_when_the_worker_starts(monkeypatch, tmp_path):
    """A configuration of pytest adds folders after this package was imported."""
    monkeypatch.syspath_prepend(tmp_path)
    assert HERE.search_path.split(os.pathsep)[0] == str(tmp_path)
