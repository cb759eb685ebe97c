"""Where a run was measured, name by name."""

import dataclasses

from harness.records import Run


def facts(run: Run) -> dict[str, str]:
    """Machine, GPU and versions of libraries, in the order in which they are shown."""
    machine = run.machine
    gpu = machine.gpu_facts
    found = {
        "cpu": machine.cpu,
        "cpus": f"{machine.cpus} ({machine.usable_cpus} usable)",
        "memory_bytes": str(machine.memory_bytes),
        "gpu": str(machine.gpu or machine.gpu_reason),
    }
    if gpu is not None:
        known = dataclasses.asdict(gpu)
        refused = known.pop("refused")
        found |= {f"gpu_{name}": str(value) for name, value in known.items() if name != "name"}
        found |= {f"gpu_refused_{what}": why for what, why in refused.items()}
    found |= {"os": machine.os, "python": machine.python, **machine.libraries}
    return found | {"commit": machine.commit or "not known"}
