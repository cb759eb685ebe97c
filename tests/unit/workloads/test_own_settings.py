"""What a user's file sets of the process that trains it."""

import contextlib
import os
import random
import sys
import types

import numpy as np
import pytest

from harness.workloads import own_settings


@pytest.fixture
def torch(monkeypatch):
    """A module with the functions of the real one that set threads."""
    module = types.ModuleType("torch")
    module.threads = []
    module.set_num_threads = module.threads.append
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


def test_threads_are_not_set_and_seeds_are(torch):
    """Each is noted with what became of it, once."""
    real = torch.set_num_threads
    with own_settings.noted() as found:
        torch.set_num_threads(1)
        random.seed(3)
        first = random.random()
        np.random.seed(a := 5)
        np.random.seed(a)
    assert torch.threads == []
    assert torch.set_num_threads is real
    random.seed(3)
    assert random.random() == first
    assert found == [
        "set_num_threads(1) (not done, the case decides it)",
        "seed(3) (done)",
        "seed(5) (done)",
    ]


def test_a_variable_comes_too_late(monkeypatch):
    """It stays set."""
    monkeypatch.setattr(os, "environ", {})
    with own_settings.noted() as found:
        os.environ["XLA_FLAGS"] = "--fast"
        os.environ["MY_OWN"] = "1"
    assert found == ["XLA_FLAGS=--fast (too late, set it in the shell)"]
    assert set(os.environ) == {"XLA_FLAGS", "MY_OWN"}


def test_what_was_asked_is_known_after_an_error(torch):
    """And the functions are the real ones again."""
    with contextlib.suppress(ZeroDivisionError), own_settings.noted() as found:
        torch.set_num_threads(1)
        torch.set_num_threads(1 // 0)
    assert len(found) == 1
    torch.set_num_threads(2)
    assert torch.threads == [2]
