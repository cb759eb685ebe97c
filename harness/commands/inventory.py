"""What can be trained here: variants, datasets, backends, devices, each with its state."""

from typing import Any

from harness.errors import HarnessError
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.records import Case
from harness.worker import backends
from harness.workloads import datasets, levers, registry


def inventory(gpu: AnyGpu) -> dict[str, Any]:
    """List what can be trained here, as plain values.

    Args:
        gpu: From `gpu.open_gpu()`.
    """
    try:
        mnist = str(datasets.mnist_path() or "not on this machine")
    except HarnessError as error:
        mnist = str(error)
    others = dict.fromkeys((*datasets.BUNDLED[1:], datasets.FITTED), "always")
    return {
        "variants": registry.names(),
        "changes": list(registry.CHANGES),
        "datasets": {"mnist": mnist, **others},
        "backends": {one.name: one.missing() or "installed" for one in backends.BACKENDS},
        "devices": {
            "cpu": f"{len(usable_cpus())} usable",
            "gpu": str(gpu.name or gpu.reason),
        },
        "levers": _levers("cpu" if gpu.name is None else "gpu"),
    }


def _levers(device: str) -> dict[str, str]:
    """Each that TensorFlow, the usual backend, can move on a device, or why not."""
    usual = Case("", "", 1, device=device, threads=len(usable_cpus()))
    tried = levers.tried(usual.backend)
    return {lever: levers.unavailable(lever, usual) or "can be tried" for lever in tried}
