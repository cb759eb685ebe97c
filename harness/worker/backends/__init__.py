"""One file a framework, each with the same few functions and a class `Trainer`.

`environment(device)` and `DEFAULTS` are what it reads at its start,
`preload()` imports it without starting it, `configure(case)` sets threads,
`distributed(case)` is what a model is built within, `gpus()` lists the GPUs
that it sees, `Trainer` trains (see `trainer.KerasTrainer`), and `GPU_BUILD`
is how its build for GPUs is installed. Importing such a file imports no
framework; only a worker calls what does.
"""

import importlib
import importlib.util
import os
from typing import Any

from harness.errors import UnknownName

NAMES = ("tensorflow", "jax", "torch")


def find(name: str) -> Any:
    """Import a backend's file.

    Raises:
        UnknownName: no such backend.
    """
    if name not in NAMES:
        raise UnknownName(f"no backend {name!r}; known: {', '.join(NAMES)}")
    return importlib.import_module(f"harness.worker.backends.{name}")


def missing(name: str) -> str | None:
    """Say that a backend's framework is not installed, and how it is; None when it is."""
    if importlib.util.find_spec(name):
        return None
    return f"the backend {name} is not installed: pip install {name}"


def unseen(name: str) -> str:
    """Say that a backend's framework does not see the GPU, and what helps."""
    return (
        f"{name} sees no GPU and would train on the CPU; install its build for GPUs "
        f"({find(name).GPU_BUILD}) or, where that is installed, a newer driver"
    )


def undistributed(name: str, hosts: int = 1) -> str | None:
    """Say why a backend cannot train on several devices, or hosts; None when it can."""
    if name == "torch":
        return "Keras does not distribute over devices with Torch"
    if name == "tensorflow" and hosts > 1:
        return (
            "TensorFlow's strategy for several hosts does not work with Keras 3 (keras issue "
            "20585); use the backend jax"
        )
    return None


def jit_by_default(name: str) -> bool:
    """Whether Keras compiles the step when nothing is said: that of JAX it does."""
    return name == "jax"


def environment(
    name: str, device: str, cuda_device: str | None, *, several: bool = False
) -> dict[str, str]:
    """Everything that a framework reads once, before it is imported.

    Args:
        name: The backend.
        device: `cpu` or `gpu`.
        cuda_device: What a GPU case is to see of the machine: a UUID, or an
            index in PCI order.
        several: Whether it is to see all GPUs that this process does.
    """
    backend = find(name)
    visible = {"CUDA_VISIBLE_DEVICES": "-1" if cuda_device is None else cuda_device}
    if device == "cpu":
        visible = {"CUDA_VISIBLE_DEVICES": "-1"}
    elif several:
        visible = {}  # as it is
    return {
        **backend.DEFAULTS,
        **os.environ,  # a user may want the whole card reserved, or TensorFlow to say more
        "KERAS_BACKEND": name,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        **visible,
        **backend.environment(device),
    }
