"""The only door to NVML; `NoGpu` where there is none.

Callers never ask whether there is a GPU: they ask for its name or a reading
and get None with a reason.
"""

import contextlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What NVML says at one moment; None where it says nothing.

    Attributes:
        utilization_percent: Share of the driver's last sample period with a
            kernel running; not efficiency.
        memory_bytes: Device memory in use, by all processes.
        power_watts: Board power.
    """

    utilization_percent: float | None = None
    memory_bytes: int | None = None
    power_watts: float | None = None


class NoGpu:
    """Stands for a GPU that is not there."""

    name: str | None = None

    def __init__(self, reason: str) -> None:
        self.reason: str | None = reason

    def read(self) -> GpuReading:
        """Return a reading without values."""
        return GpuReading()


class NvmlGpu:
    """The first GPU that NVML lists."""

    def __init__(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        self._nvml = pynvml
        self._handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        self.name: str | None = str(pynvml.nvmlDeviceGetName(self._handle))
        self.reason: str | None = None

    def read(self) -> GpuReading:
        """Read each value by itself: any single call may be refused."""
        nvml = self._nvml
        utilization = memory = power = None
        with contextlib.suppress(nvml.NVMLError):
            utilization = float(nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu)
        with contextlib.suppress(nvml.NVMLError):
            memory = int(nvml.nvmlDeviceGetMemoryInfo(self._handle).used)
        with contextlib.suppress(nvml.NVMLError):
            power = nvml.nvmlDeviceGetPowerUsage(self._handle) / 1000
        return GpuReading(utilization, memory, power)


def open_gpu() -> NoGpu | NvmlGpu:
    """Open the GPU of this machine, or say why there is none."""
    try:
        return NvmlGpu()
    except Exception as error:  # NVML raises many kinds; each means "no GPU to read"
        return NoGpu(f"no GPU: {type(error).__name__}: {error}")
