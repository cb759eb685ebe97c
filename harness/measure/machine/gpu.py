"""The only module that uses NVML; `NoGpu` stands for a missing GPU.

Callers need not check whether there is a GPU: a missing name or reading is None, with a reason.
Each call to NVML may fail by itself without affecting the others.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any
from typing import Protocol as Interface

from harness.measure.machine import cuda
from harness.records import Gpu, GpuReading

THERMAL = 0x8 | 0x20 | 0x40  # hardware slowdown, software and hardware thermal slowdown
_UNREACHABLE = {
    "NVMLError_LibraryNotFound": "no NVIDIA driver is installed",
    "NVMLError_DriverNotLoaded": "the NVIDIA driver is installed but not loaded",
    "NVMLError_LibRmVersionMismatch": "the NVIDIA driver was updated; reboot, or reload it",
}


class AnyGpu(Interface):
    """What the rest of `measure` needs of a GPU."""

    @property
    def name(self) -> str | None:
        """Name of the GPU; None if there is none."""

    @property
    def reason(self) -> str | None:
        """Why there is no GPU."""

    @property
    def facts(self) -> Gpu | None:
        """Facts about the GPU; None if there is none."""

    @property
    def refused(self) -> dict[str, str]:
        """Why a reading is missing, by name of the reading."""

    @property
    def cuda_device(self) -> str | None:
        """Value of `CUDA_VISIBLE_DEVICES` with which a worker trains on the GPU."""

    def read(self) -> GpuReading:
        """Read the GPU now."""

    def processes(self) -> frozenset[int] | None:
        """Ids of processes on the GPU, in a container those of the host; None if unknown."""


class NoGpu:
    """Stands for a missing GPU."""

    name: str | None = None
    facts: Gpu | None = None
    cuda_device: str | None = None

    def __init__(self, reason: str) -> None:
        self.reason: str | None = reason
        self.refused: dict[str, str] = {}

    def read(self) -> GpuReading:
        """Return a reading without values."""
        return GpuReading()

    def processes(self) -> frozenset[int] | None:
        """Return None: nothing is known."""
        return None


class NvmlGpu:
    """One GPU, or one MIG instance of a GPU, read through NVML.

    Args:
        nvml: The module `pynvml`, initialized.
        handle: NVML's handle of the device.
        chosen_by: How the device was chosen, for the record.
    """

    def __init__(self, nvml: Any, handle: Any, chosen_by: str) -> None:
        self._nvml = nvml
        self._handle = handle
        self.reason: str | None = None
        self.refused: dict[str, str] = {}
        self.read()  # so that `facts` holds which readings fail
        self.processes()
        uuid = self._ask("uuid", nvml.nvmlDeviceGetUUID)
        pci = self._ask("pci_bus_id", nvml.nvmlDeviceGetPciInfo)
        memory = self._ask("memory_bytes", nvml.nvmlDeviceGetMemoryInfo)
        name = self._ask("name", nvml.nvmlDeviceGetName)
        driver = self._ask("driver", lambda _: nvml.nvmlSystemGetDriverVersion())
        version = self._ask("cuda", lambda _: nvml.nvmlSystemGetCudaDriverVersion())
        self.facts: Gpu | None = Gpu(
            name="unnamed GPU" if name is None else _text(name),
            uuid=None if uuid is None else _text(uuid),
            pci_bus_id=None if pci is None else _text(pci.busId),
            driver=None if driver is None else _text(driver),
            cuda=None if version is None else f"{version // 1000}.{version % 1000 // 10}",
            memory_bytes=None if memory is None else int(memory.total),
            chosen_by=chosen_by,
            refused=dict(self.refused),
        )
        self.name: str | None = self.facts.name
        index = self._ask("index", nvml.nvmlDeviceGetIndex) if uuid is None else None
        # NVML's index counts in PCI order, as CUDA's does with CUDA_DEVICE_ORDER=PCI_BUS_ID.
        self.cuda_device: str | None = self.facts.uuid or str(index or 0)

    def read(self) -> GpuReading:
        """Read each value by itself, since any single call may fail."""
        nvml = self._nvml
        rates = self._ask("utilization_percent", nvml.nvmlDeviceGetUtilizationRates)
        memory = self._ask("memory_bytes", nvml.nvmlDeviceGetMemoryInfo)
        power = self._ask("power_watts", nvml.nvmlDeviceGetPowerUsage)
        energy = self._ask("energy_joules", nvml.nvmlDeviceGetTotalEnergyConsumption)
        return GpuReading(
            utilization_percent=None if rates is None else float(rates.gpu),
            controller_percent=None if rates is None else float(rates.memory),
            memory_bytes=None if memory is None else int(memory.used),
            power_watts=None if power is None else power / 1000,
            energy_joules=None if energy is None else energy / 1000,
            temperature_celsius=self._ask(
                "temperature_celsius",
                lambda h: float(nvml.nvmlDeviceGetTemperature(h, nvml.NVML_TEMPERATURE_GPU)),
            ),
            sm_clock_mhz=self._clock("sm_clock_mhz", nvml.NVML_CLOCK_SM),
            memory_clock_mhz=self._clock("memory_clock_mhz", nvml.NVML_CLOCK_MEM),
            throttle_reasons=self._ask(
                "throttle_reasons",
                lambda h: int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(h)),
            ),
        )

    def _clock(self, name: str, kind: int) -> float | None:
        clock = self._ask(name, lambda h: self._nvml.nvmlDeviceGetClockInfo(h, kind))
        return None if clock is None else float(clock)

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


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def open_gpu(
    nvml: Any = None, cuda_order: Callable[[], list[str]] = cuda.visible_uuids
) -> NoGpu | NvmlGpu:
    """Open the GPU that is first in CUDA's order; `NoGpu` with a reason if there is none.

    Args:
        nvml: Stands in for the module `pynvml`.
        cuda_order: Lists the UUIDs that CUDA sees, in CUDA's order; raises
            `cuda.CudaUnavailable` if it cannot.
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
    return NoGpu(f"no GPU: {chosen_by}") if handle is None else NvmlGpu(nvml, handle, chosen_by)


def _choose(nvml: Any, cuda_order: Callable[[], list[str]]) -> tuple[Any, str]:
    """Return the handle of the GPU to use and how it was chosen; else None and the reason."""
    count = nvml.nvmlDeviceGetCount()
    if count == 0:
        return None, "the NVIDIA driver lists no GPU"
    try:
        uuids = cuda_order()
    except cuda.CudaUnavailable as error:
        uuids, how = _pci_order(nvml, count), f"PCI order ({error})"
    else:
        how = "CUDA's own order"
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
    """Count the GPUs that a process may use: by `CUDA_VISIBLE_DEVICES`, else by NVML."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    import pynvml

    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0
