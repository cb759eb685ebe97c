"""A GPU as NVML reads it; `NoGpu` stands for a missing one.

Callers need not check whether there is a GPU: a missing name or reading is None, with a reason.
Each call to NVML may fail by itself without affecting the others.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any, Self

import pynvml

from harness.records import Gpu, GpuReading

_FUNCTION_MISSING = (AttributeError, pynvml.NVMLLibraryMismatchError)  # in the binding, the driver
_LARGEST_PID = 2**22  # proc(5), pid_max
# Drivers whose list of processes has a layout that the binding does not know; the function before
# that has the usual one.
_OTHER_LAYOUT = ((535, 43), (535, 86))
_ARCHITECTURES = {  # numbers of NVML_DEVICE_ARCH_*; older bindings lack the last names
    2: "Kepler",
    3: "Maxwell",
    4: "Pascal",
    5: "Volta",
    6: "Turing",
    7: "Ampere",
    8: "Ada",
    9: "Hopper",
    10: "Blackwell",
    13: "Rubin",
}
_OF_MIG = "NVML has no such counter of a MIG instance"


class AnyGpu:
    """What the rest of the package needs of a GPU; by itself it stands for a missing one.

    Attributes:
        name: None if there is no GPU.
        reason: Why there is none.
        facts: None if there is no GPU.
        cuda_device: Value of `CUDA_VISIBLE_DEVICES` with which a worker trains on the GPU.
        refused: Why a reading is missing, by name of the reading.
    """

    name: str | None = None
    facts: Gpu | None = None
    cuda_device: str | None = None

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        self.refused: dict[str, str] = {}

    def read(self) -> GpuReading:
        """Read the GPU now."""
        return GpuReading()

    def processes(self) -> frozenset[int] | None:
        """Ids of processes on the GPU, in a container those of the host; None if unknown."""
        return None

    def near(self, cpus: list[int]) -> list[int]:
        """Order CPUs: those on the GPU's memory node first."""
        return cpus

    def locked(self, _mhz: int | None) -> contextlib.AbstractContextManager[None]:
        """Hold the clock of the GPU's multiprocessors, if that is wanted and permitted."""
        return contextlib.nullcontext()


class NoGpu(AnyGpu):
    """Stands for a missing GPU; says the reason."""


class NvmlGpu(AnyGpu):
    """One GPU, or one MIG instance of a GPU, read through NVML; made by `NvmlGpu.open`."""

    def __init__(self, handle: Any) -> None:
        super().__init__()
        self._handle = handle
        self.is_mig = False
        instance = self._ask("is_mig", "nvmlDeviceIsMigDeviceHandle")
        self.is_mig = instance is not None and bool(instance.value)
        self.refused.clear()  # a driver that knows no MIG lacks no figure
        self._driver = driver = text(self._told("driver", "nvmlSystemGetDriverVersion"))
        self._temperature = self._first(
            "nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU
        )
        self._reasons = self._first(
            "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"
        )
        newer, older = 3, 2
        if driver and _OTHER_LAYOUT[0] <= _version(driver) < _OTHER_LAYOUT[1]:
            newer, older = older, newer
        processes = "nvmlDeviceGet{}RunningProcesses_v{}".format
        self._computing = self._first(processes("Compute", newer), processes("Compute", older))
        self._drawing = self._first(processes("Graphics", newer), processes("Graphics", older))

    @classmethod
    def open(cls, handle: Any, chosen_by: str) -> Self:
        """Read what the GPU is, and once each reading, so that its facts hold which ones fail."""
        gpu = cls(handle)
        gpu.read()
        gpu.processes()
        uuid = text(gpu._ask("uuid", "nvmlDeviceGetUUID"))
        pci = gpu._ask("pci_bus_id", "nvmlDeviceGetPciInfo")
        memory = gpu._ask("memory_bytes", "nvmlDeviceGetMemoryInfo")
        name = text(gpu._ask("name", "nvmlDeviceGetName"))
        version = gpu._told("cuda", "nvmlSystemGetCudaDriverVersion")
        capability = gpu._ask("compute_capability", "nvmlDeviceGetCudaComputeCapability")
        architecture = gpu._ask("architecture", "nvmlDeviceGetArchitecture")
        persistence = gpu._ask("persistence_mode", "nvmlDeviceGetPersistenceMode")
        gpu.facts = Gpu(
            name="unnamed GPU" if name is None else name,
            uuid=uuid,
            pci_bus_id=None if pci is None else text(pci.busId),
            driver=gpu._driver,
            cuda=None if version is None else f"{version // 1000}.{version % 1000 // 10}",
            memory_bytes=None if memory is None else int(memory.total),
            chosen_by=chosen_by,
            compute_capability=None if capability is None else "{}.{}".format(*capability),
            architecture=_ARCHITECTURES.get(architecture),
            persistence_mode=None if persistence is None else bool(persistence),
            is_mig=gpu.is_mig,
            refused=dict(gpu.refused),
        )
        gpu.name = gpu.facts.name
        index = gpu._ask("index", "nvmlDeviceGetIndex") if uuid is None else None
        # NVML's index counts in PCI order, as CUDA's does with CUDA_DEVICE_ORDER=PCI_BUS_ID.
        gpu.cuda_device = uuid or str(index or 0)
        return gpu

    def read(self) -> GpuReading:
        """Read each value by itself, since any single call may fail."""
        ask = self._ask
        rates = ask("utilization_percent", "nvmlDeviceGetUtilizationRates")
        memory = ask("memory_bytes", "nvmlDeviceGetMemoryInfo")
        milliwatts = ask("power_watts", "nvmlDeviceGetPowerUsage")
        millijoules = ask("energy_joules", "nvmlDeviceGetTotalEnergyConsumption")
        celsius = ask("temperature_celsius", self._temperature, pynvml.NVML_TEMPERATURE_GPU)
        clock = ask("sm_clock_mhz", "nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM)
        memory_clock = ask("memory_clock_mhz", "nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM)
        return GpuReading(
            utilization_percent=None if rates is None else float(rates.gpu),
            controller_percent=None if rates is None else float(rates.memory),
            memory_bytes=None if memory is None else int(memory.used),
            power_watts=None if milliwatts is None else milliwatts / 1000,
            energy_joules=None if millijoules is None else millijoules / 1000,
            temperature_celsius=None if celsius is None else float(celsius),
            sm_clock_mhz=None if clock is None else float(clock),
            memory_clock_mhz=None if memory_clock is None else float(memory_clock),
            throttle_reasons=self._ask("throttle_reasons", self._reasons),
        )

    def processes(self) -> frozenset[int] | None:
        """List the ids of processes that compute or draw on the GPU."""
        computing = self._ask("processes", self._computing)
        if computing is None:
            return None
        drawing = self._ask("graphics", self._drawing)
        listed = frozenset(int(process.pid) for process in [*computing, *(drawing or ())])
        if any(not 0 < pid < _LARGEST_PID for pid in listed):
            self.refused["processes"] = "the driver's list has a layout that nvidia-ml-py lacks"
            return None
        return listed

    def near(self, cpus: list[int]) -> list[int]:
        """Order CPUs: those on the GPU's memory node first, as NVML knows them."""
        words = (max(cpus, default=0) + 64) // 64
        mask = self._ask("near_cpus", "nvmlDeviceGetCpuAffinity", words)
        self.refused.pop("near_cpus", None)  # no figure is missing for that
        close = {cpu for cpu in cpus if mask and mask[cpu // 64] >> cpu % 64 & 1}
        return sorted(cpus, key=lambda cpu: (cpu not in close, cpu)) if close else cpus

    @contextlib.contextmanager
    def locked(self, mhz: int | None) -> Iterator[None]:
        """Hold the clock of the multiprocessors; where that is refused, `refused` has the reason.

        A process that is killed leaves it held: `nvidia-smi --reset-gpu-clocks` lets it go.
        """
        if mhz is None or self.facts is None:
            yield
            return
        self._ask("locked_clock", "nvmlDeviceSetGpuLockedClocks", mhz, mhz)
        if "locked_clock" in self.refused:
            self.facts = dataclasses.replace(self.facts, refused=dict(self.refused))
            yield
            return
        self.facts = dataclasses.replace(self.facts, locked_mhz=mhz)
        try:
            yield
        finally:
            self._ask("reset_clock", "nvmlDeviceResetGpuLockedClocks")

    def _first(self, newer: str, older: str, *arguments: Any) -> str:
        """Return the one of two functions that answers; the newer if both refuse.

        The newer replaces the older, which leaves with a later driver or binding.
        """
        wanted = newer
        for function in (newer, older):
            try:
                getattr(pynvml, function)(self._handle, *arguments)
            except (*_FUNCTION_MISSING, pynvml.NVMLError_FunctionNotFound):
                wanted = older
            except pynvml.NVMLError:
                continue
            else:
                return function
        return wanted

    def _ask(self, what: str, function: str, *arguments: Any) -> Any:
        """Call a function of NVML for this GPU; see `_told`."""
        return self._told(what, function, self._handle, *arguments)

    def _told(self, what: str, function: str, *arguments: Any) -> Any:
        """Call NVML; after an error return None and keep the reason until the next success."""
        try:
            answer = getattr(pynvml, function)(*arguments)
        except _FUNCTION_MISSING:
            self.refused[what] = "Function Not Found"
        except pynvml.NVMLError as error:
            unsupported = isinstance(error, pynvml.NVMLError_NotSupported)
            self.refused[what] = _OF_MIG if unsupported and self.is_mig else str(error)
        else:
            if self.refused:
                self.refused.pop(what, None)
            return answer
        return None


def _version(driver: str) -> tuple[int, ...]:
    return tuple(int(part) for part in driver.split(".")[:2] if part.isdigit())


def text(value: Any) -> Any:
    """Decode what an older binding of NVML gives as bytes."""
    return value.decode() if isinstance(value, bytes) else value


def count() -> int:
    """Count the GPUs that a process may use: by `CUDA_VISIBLE_DEVICES`, else all."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    return installed()


def installed() -> int:
    """Count the GPUs that NVML lists; 0 without NVML."""
    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0
