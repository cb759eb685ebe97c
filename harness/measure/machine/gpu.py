"""The only module that uses NVML; `NoGpu` stands for a missing GPU.

Callers need not check whether there is a GPU: a missing name or reading is None, with a reason.
Each call to NVML may fail by itself without affecting the others.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, Self

from harness.measure.machine import visible_gpus
from harness.records import Gpu, GpuReading

THERMAL = 0x8 | 0x20 | 0x40  # hardware slowdown, software and hardware thermal slowdown
_POLL_SECONDS = 1.0  # while a hot GPU cools down
_UNREACHABLE = {
    "NVMLError_LibraryNotFound": "no NVIDIA driver is installed",
    "NVMLError_DriverNotLoaded": "the NVIDIA driver is installed but not loaded",
    "NVMLError_LibRmVersionMismatch": "the NVIDIA driver was updated; reboot, or reload it",
}


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


class NoGpu(AnyGpu):
    """Stands for a missing GPU; says the reason."""


class NvmlGpu(AnyGpu):
    """One GPU, or one MIG instance of a GPU, read through NVML; made by `NvmlGpu.open`."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        super().__init__()
        self._nvml = nvml
        self._handle = handle

    @classmethod
    def open(cls, nvml: Any, handle: Any, chosen_by: str) -> Self:
        """Read what the GPU is, and once each reading, so that its facts hold which ones fail.

        `nvml` is the module `pynvml`, initialized.
        """
        gpu = cls(nvml, handle)
        gpu.read()
        gpu.processes()
        uuid = _text(gpu._ask("uuid", nvml.nvmlDeviceGetUUID))
        pci = gpu._ask("pci_bus_id", nvml.nvmlDeviceGetPciInfo)
        memory = gpu._ask("memory_bytes", nvml.nvmlDeviceGetMemoryInfo)
        name = _text(gpu._ask("name", nvml.nvmlDeviceGetName))
        driver = _text(gpu._ask("driver", lambda _: nvml.nvmlSystemGetDriverVersion()))
        version = gpu._ask("cuda", lambda _: nvml.nvmlSystemGetCudaDriverVersion())
        gpu.facts = Gpu(
            name="unnamed GPU" if name is None else name,
            uuid=uuid,
            pci_bus_id=None if pci is None else _text(pci.busId),
            driver=driver,
            cuda=None if version is None else f"{version // 1000}.{version % 1000 // 10}",
            memory_bytes=None if memory is None else int(memory.total),
            chosen_by=chosen_by,
            refused=dict(gpu.refused),
        )
        gpu.name = gpu.facts.name
        index = gpu._ask("index", nvml.nvmlDeviceGetIndex) if uuid is None else None
        # NVML's index counts in PCI order, as CUDA's does with CUDA_DEVICE_ORDER=PCI_BUS_ID.
        gpu.cuda_device = uuid or str(index or 0)
        return gpu

    def read(self) -> GpuReading:
        """Read each value by itself, since any single call may fail."""
        n = self._nvml
        calls: dict[str, Callable[[Any], float]] = {
            "power_watts": lambda h: n.nvmlDeviceGetPowerUsage(h) / 1000,
            "energy_joules": lambda h: n.nvmlDeviceGetTotalEnergyConsumption(h) / 1000,
            "temperature_celsius": lambda h: float(
                n.nvmlDeviceGetTemperature(h, n.NVML_TEMPERATURE_GPU)
            ),
            "sm_clock_mhz": lambda h: float(n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM)),
            "memory_clock_mhz": lambda h: float(n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_MEM)),
            "throttle_reasons": lambda h: int(n.nvmlDeviceGetCurrentClocksThrottleReasons(h)),
        }
        rates = self._ask("utilization_percent", n.nvmlDeviceGetUtilizationRates)
        memory = self._ask("memory_bytes", n.nvmlDeviceGetMemoryInfo)
        return GpuReading(
            utilization_percent=None if rates is None else float(rates.gpu),
            controller_percent=None if rates is None else float(rates.memory),
            memory_bytes=None if memory is None else int(memory.used),
            **{name: self._ask(name, call) for name, call in calls.items()},
        )

    def processes(self) -> frozenset[int] | None:
        """List the ids of processes that compute or draw on the GPU."""
        compute = self._ask("processes", self._nvml.nvmlDeviceGetComputeRunningProcesses)
        if compute is None:
            return None
        drawing = self._ask("graphics", self._nvml.nvmlDeviceGetGraphicsRunningProcesses)
        return frozenset(int(process.pid) for process in [*compute, *(drawing or ())])

    def _ask(self, what: str, call: Callable[[Any], Any]) -> Any:
        """Call NVML; after an error return None and keep the reason until the next success."""
        try:
            answer = call(self._handle)
        except self._nvml.NVMLError as error:
            self.refused[what] = str(error)
            return None
        self.refused.pop(what, None)
        return answer


def _text(value: Any) -> Any:
    """Decode what an older binding of NVML gives as bytes."""
    return value.decode() if isinstance(value, bytes) else value


def cool_down(
    gpu: AnyGpu, clock: Callable[[], float], sleep: Callable[[float], None], limit_seconds: float
) -> float:
    """Wait until NVML reports no thermal reason for a lower clock, or the limit has passed.

    Return the seconds waited: 0.0 if the GPU is cool or does not report it.
    """
    begin, waited = clock(), 0.0
    while waited < limit_seconds and (gpu.read().throttle_reasons or 0) & THERMAL:
        sleep(_POLL_SECONDS)
        waited = clock() - begin
    return waited


def open_gpu(
    nvml: Any = None, cuda_order: Callable[[], list[str]] = visible_gpus.of_cuda
) -> NoGpu | NvmlGpu:
    """Open the GPU that is first in CUDA's order; `NoGpu` with a reason if there is none.

    `nvml` stands in for the module `pynvml`, `cuda_order` for CUDA.
    """
    try:
        if nvml is None:
            import pynvml

            nvml = pynvml
        nvml.nvmlInit()
    except Exception as error:  # whatever the error, there is no GPU to read
        return NoGpu(f"no GPU: {_UNREACHABLE.get(type(error).__name__, error)}")
    try:
        handle, chosen_by = _choose(nvml, cuda_order)
    except nvml.NVMLError as error:
        return NoGpu(f"no GPU: NVML cannot read it ({error})")
    if handle is None:
        return NoGpu(f"no GPU: {chosen_by}")
    return NvmlGpu.open(nvml, handle, chosen_by)


def _choose(nvml: Any, cuda_order: Callable[[], list[str]]) -> tuple[Any, str]:
    """Return the handle of the GPU to use and how it was chosen; else None and the reason."""
    count = nvml.nvmlDeviceGetCount()
    if count == 0:
        return None, "the NVIDIA driver lists no GPU"
    try:
        uuids, how = cuda_order(), "CUDA's own order"
    except visible_gpus.NotListed as error:
        uuids, how = _pci_order(nvml, count), f"PCI order ({error})"
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not uuids:
        told = "" if shown is None else f" (CUDA_VISIBLE_DEVICES is {shown!r})"
        return None, f"CUDA sees none of the {count} in this machine{told}"
    if shown is not None:
        how += f", CUDA_VISIBLE_DEVICES={shown}"
    return _handle(nvml, uuids[0]), how


def _handle(nvml: Any, uuid: str) -> Any:
    """Find a device by the UUID that CUDA gives, which may be that of a MIG instance."""
    if uuid.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(uuid))
    bare = uuid.removeprefix("GPU-").removeprefix("MIG-")
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{bare}")
    except nvml.NVMLError:
        return nvml.nvmlDeviceGetHandleByUUID(f"MIG-{bare}")


def _pci_order(nvml: Any, count: int) -> list[str]:
    """Apply CUDA_VISIBLE_DEVICES as CUDA does, to the devices in PCI order."""
    known = []
    for index in range(count):
        try:
            known.append(_text(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(index))))
        except nvml.NVMLError:
            known.append(str(index))
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    return known if shown is None else _visible(known, shown.split(","))


def _visible(known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Select devices; the first unknown name ends the list, as in CUDA."""
    found = []
    for name in (part.strip() for part in wanted):
        if name.isdigit() and int(name) < len(known):
            found.append(known[int(name)])
        elif name.startswith("MIG-"):
            found.append(name)
        else:
            matches = [uuid for uuid in known if name and uuid.startswith(name)]
            if len(matches) != 1:
                break
            found += matches
    return found


def count() -> int:
    """Count the GPUs that a process may use: by `CUDA_VISIBLE_DEVICES`, else all."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    return installed()


def installed() -> int:
    """Count the GPUs that NVML lists; 0 without NVML."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0
