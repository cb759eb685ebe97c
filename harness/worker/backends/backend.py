"""What the harness needs of a framework."""

import abc
import contextlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from harness.errors import BadCase
from harness.records import Case
from harness.worker.trainer import KerasTrainer


class Backend(abc.ABC):
    """One framework under Keras: its facts, and what a worker does with it.

    The parent process reads the facts, so importing a backend's module imports no framework.
    Methods marked *worker* import the framework.
    """

    defaults: ClassVar[Mapping[str, str]] = {}  # variables, unless the user has set them
    jit_by_default = False  # whether Keras compiles the step when a model does not say
    out_of_memory: Sequence[str] = ()  # in the type or message of errors that mean it

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name for Keras, which is that of the framework's module."""

    @property
    @abc.abstractmethod
    def gpu_build(self) -> str:
        """The command that installs the framework's build for GPUs."""

    @property
    def libraries(self) -> Sequence[str]:
        """Packages whose versions are recorded."""
        return (self.name,)

    def missing(self) -> str | None:
        """Return why the framework cannot be imported, and how to install it; None if it can."""
        if importlib.util.find_spec(self.name):
            return None
        return f"the backend {self.name} is not installed: pip install {self.name}"

    def unseen(self, said: str = "") -> str:
        """Return that the framework does not see the GPU, what it said, and what helps."""
        its = f" ({said})" if said else ""
        return (
            f"{self.name} sees no GPU{its} and would train on the CPU; install its build for GPUs "
            f"({self.gpu_build}) or, where that is installed, a newer driver"
        )

    @abc.abstractmethod
    def undistributed(self, hosts: int = 1) -> str | None:
        """Return why several devices, or hosts, cannot train one model; None if they can."""

    @abc.abstractmethod
    def device_environment(self, device: str) -> dict[str, str]:
        """Environment variables of this framework for `cpu` or `gpu`."""

    def environment(
        self, device: str, cuda_device: str | None, *, several: bool = False
    ) -> dict[str, str]:
        """The environment of a worker: all that the framework reads when it is imported.

        The GPU of a case is a UUID, or an index in PCI order; `several` makes all visible instead.
        """
        gpu = "-1" if cuda_device is None or device == "cpu" else cuda_device
        visible = {} if several and device != "cpu" else {"CUDA_VISIBLE_DEVICES": gpu}
        return {
            **self.defaults,
            **os.environ,  # a user's own value replaces a default
            "KERAS_BACKEND": self.name,
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            **visible,
            **self.device_environment(device),
        }

    @abc.abstractmethod
    def preload(self) -> None:
        """Import framework and Keras without starting threads or devices (*worker*)."""

    @abc.abstractmethod
    def configure(self, case: Case) -> None:
        """Set threads and devices, before the runtime starts (*worker*)."""

    def join(self, case: Case, rank: int, size: int, address: str) -> None:
        """Join the processes on other hosts as number `rank` of `size` (*worker*).

        The first process listens at the address. `BadCase` if the backend cannot do it.
        """
        raise BadCase(str(self.undistributed(size)))

    @abc.abstractmethod
    def distributed(self, case: Case) -> contextlib.AbstractContextManager[Any]:
        """The scope in which a model for all replicas is built, else `BadCase` (*worker*)."""

    @abc.abstractmethod
    def gpus(self) -> list[str]:
        """Names of the GPUs that the framework sees (*worker*)."""

    def kernels(self) -> list[str]:
        """What the build's kernels were compiled for; empty if it does not say (*worker*).

        `sm_90` is a compute capability, `compute_90` a form that the driver compiles.
        """
        return []

    @property
    @abc.abstractmethod
    def trainer(self) -> type[KerasTrainer]:
        """The class that trains a compiled model (*worker*)."""
