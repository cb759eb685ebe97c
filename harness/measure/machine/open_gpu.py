"""Choose the GPU that is first in CUDA's order, and open it in NVML."""

import os
from collections.abc import Sequence
from typing import Any

import pynvml

from harness.measure.machine import visible_gpus
from harness.measure.machine.gpu import NoGpu, NvmlGpu, text

_UNREACHABLE = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver is installed",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is installed but not loaded",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the NVIDIA driver was updated; reboot",
}


def open_gpu() -> NoGpu | NvmlGpu:
    """Open the GPU; `NoGpu` with a reason if there is none."""
    try:
        pynvml.nvmlInit()
        handle, chosen_by = _choose()
    except pynvml.NVMLError as error:
        reason = _UNREACHABLE.get(error.value, f"NVML cannot read it ({error})")
        return NoGpu(f"no GPU: {reason}")
    if handle is None:
        return NoGpu(f"no GPU: {chosen_by}")
    return NvmlGpu.open(handle, chosen_by)


def _choose() -> tuple[Any, str]:
    """Return the handle of the GPU to use and how it was chosen; else None and the reason."""
    count = pynvml.nvmlDeviceGetCount()
    if count == 0:
        return None, "the NVIDIA driver lists no GPU"
    try:
        uuids, how = visible_gpus.of_cuda(), "CUDA's own order"
    except visible_gpus.NotListed as error:
        uuids, how = _pci_order(count), f"PCI order ({error})"
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not uuids:
        told = "" if shown is None else f" (CUDA_VISIBLE_DEVICES is {shown!r})"
        return None, f"CUDA sees none of the {count} in this machine{told}"
    if shown is not None:
        how += f", CUDA_VISIBLE_DEVICES={shown}"
    return _handle(uuids[0], count), how


def _handle(uuid: str, count: int) -> Any:
    """Find a device by the UUID that CUDA gives, which may be that of a MIG instance.

    Where NVML refuses to find one by its UUID, a whole GPU is found by comparing.
    """
    if uuid.isdigit():
        return pynvml.nvmlDeviceGetHandleByIndex(int(uuid))
    bare = uuid.removeprefix("GPU-").removeprefix("MIG-")
    for prefix in ("GPU-", "MIG-"):
        try:
            return pynvml.nvmlDeviceGetHandleByUUID(prefix + bare)
        except pynvml.NVMLError as error:
            refused = error
    for handle in map(pynvml.nvmlDeviceGetHandleByIndex, range(count)):
        if text(pynvml.nvmlDeviceGetUUID(handle)) == f"GPU-{bare}":
            return handle
    raise refused


def _pci_order(count: int) -> list[str]:
    """Apply CUDA_VISIBLE_DEVICES as CUDA does, to the devices in PCI order."""
    known = []
    for index in range(count):
        try:
            known.append(text(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(index))))
        except pynvml.NVMLError:
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
