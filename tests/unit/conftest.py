"""Fixtures for the tests of the plugin: fake workers, and no charts."""

import pytest
from fakes import FakeLauncher

from harness.measure.workers import launcher as launchers
from harness.report import files


@pytest.fixture
def launcher(monkeypatch):
    """The launcher of every run in a test; larger batches are faster."""
    fake = FakeLauncher(lambda a_case: 1e-3 if a_case.batch_size == 256 else 0.8e-3)
    monkeypatch.setattr(launchers, "Launcher", lambda **_: fake)
    return fake


@pytest.fixture
def no_charts(monkeypatch):
    """Drawing takes longer than all the rest."""
    monkeypatch.setattr(files, "_figures", lambda *_: [])
