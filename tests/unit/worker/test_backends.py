"""Backends as classes, without their frameworks."""

import importlib
import sys

import pytest

from harness.errors import BadCase, UnknownName
from harness.records import Case
from harness.worker.backends import BACKENDS, NAMES, Backend, find
from harness.worker.backends.torch import Torch


def test_a_backend_is_found_by_its_name():
    """An unknown name lists the known ones."""
    assert [find(name) for name in NAMES] == list(BACKENDS)
    with pytest.raises(UnknownName, match="known: tensorflow, jax, torch"):
        find("pytorch")


@pytest.mark.parametrize("method", sorted(Backend.__abstractmethods__))
def test_a_backend_that_lacks_a_method_cannot_be_instantiated(method):
    """Python says which one."""
    forgetful = type("Forgetful", (Torch,), {method: getattr(Backend, method)})
    with pytest.raises(TypeError, match=method):
        forgetful()


def test_what_a_worker_calls_is_abstract():
    """So that no backend can leave it out."""
    assert {"configure", "distributed", "gpus", "preload", "trainer"} <= Backend.__abstractmethods__


def test_a_backend_of_one_host_refuses_others():
    """With its own reason."""
    with pytest.raises(BadCase, match="keras issue 20585"):
        find("tensorflow").join(Case("mine", "none", 8), 0, 2, "here:1")


def test_a_user_s_variable_replaces_a_default_and_the_device_wins(monkeypatch):
    """Memory may be reserved at will; which device trains is the case's."""
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    tensorflow = find("tensorflow")
    assert tensorflow.environment("cpu", "GPU-a")["CUDA_VISIBLE_DEVICES"] == "-1"
    assert tensorflow.environment("gpu", "GPU-a")["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    several = tensorflow.environment("gpu", "GPU-a", several=True)
    assert several["CUDA_VISIBLE_DEVICES"] == "3"
    assert several["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"
    assert find("jax").environment("cpu", None)["JAX_PLATFORMS"] == "cpu"


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Wheels of CUDA with a compiler's library, and a framework that looks for it."""
    folder = tmp_path / "nvidia" / "cuda_nvcc"
    (folder / "nvvm" / "libdevice").mkdir(parents=True)
    (folder / "nvvm" / "libdevice" / "libdevice.10.bc").touch()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    return folder


def test_tensorflow_is_told_where_the_wheels_have_libdevice(wheels, monkeypatch):
    """Beside a user's own flags, but in no case on the CPU."""
    tensorflow, flag = find("tensorflow"), f"--xla_gpu_cuda_data_dir={wheels}"
    assert tensorflow.environment("gpu", "GPU-a")["XLA_FLAGS"] == flag
    assert "XLA_FLAGS" not in tensorflow.environment("cpu", None)
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    assert tensorflow.environment("gpu", "GPU-a")["XLA_FLAGS"] == f"--xla_a=1 {flag}"
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_cuda_data_dir=/mine")
    assert tensorflow.environment("gpu", "GPU-a")["XLA_FLAGS"] == "--xla_gpu_cuda_data_dir=/mine"


def test_without_such_wheels_nothing_is_said(monkeypatch, tmp_path):
    """A system's own CUDA is found by TensorFlow."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    importlib.invalidate_caches()
    assert "XLA_FLAGS" not in find("tensorflow").environment("gpu", "GPU-a")
