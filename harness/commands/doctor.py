"""`harness doctor`: what this machine can measure, what not and why, and what disturbs it."""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from harness import units
from harness.commands import options, output
from harness.commands.cases import late_first_step
from harness.errors import BadCase, HarnessError
from harness.measure.machine import cgroup, energy, nvml_recording, visible_gpus
from harness.measure.machine import facts as machine
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.machine.sampler import INTERVAL_SECONDS, read_machine
from harness.records import CpuEnergy, Finding, GpuReading, to_json
from harness.records.counters import change
from harness.tables.declare import grouped
from harness.units import printable
from harness.worker import backends
from harness.workloads import datasets

_WATCH_SECONDS = 1.0
_RECORDED_READINGS = 40
_BUSY_CPUS = 0.05
_STEAL_SHARE = 0.02
_LITTLE_MEMORY = 3 * 2**30  # two workers of a small model, and the framework
_STYLES = {"ok": "green", "note": "yellow", "missing": "dim", "problem": "bold red"}


def add(commands: output.Commands) -> None:
    """Add the command and its arguments."""
    about = "what this machine can measure, and what disturbs it"
    parser = commands.add_parser("doctor", help=about)
    told = "read the GPU for ten seconds, and write each call of NVML with its answer"
    parser.add_argument("--record-nvml", metavar="FILE", type=Path, help=told)
    options.finish(parser, "doctor", diagnose)


def diagnose(arguments: argparse.Namespace) -> int:
    """Print each finding as soon as it is known."""
    console, found, before = output.console(), [], ""
    if arguments.record_nvml is not None:
        record(arguments.record_nvml)
    for finding in examine(open_gpu()):
        if not arguments.json:
            show(console, finding, before)
        found.append(finding)
        before = finding.subject
    if arguments.json:
        output.print_json(to_json(found))
    return 0 if can_train(found) else 1


def record(path: Path) -> None:
    """Read the GPU as beside rounds, and record the calls.

    Raises:
        HarnessError: there is no GPU, or the file cannot be written.
    """
    try:
        with nvml_recording.recorded(path):
            gpu = open_gpu()
            gpu.processes()
            for _ in range(_RECORDED_READINGS if gpu.name else 0):
                gpu.read()
                time.sleep(INTERVAL_SECONDS)
            gpu.processes()
    except OSError as error:
        raise BadCase(f"--record-nvml: cannot write {path}: {error.strerror}") from error
    if gpu.name is None:
        raise BadCase(f"--record-nvml: {gpu.reason}")


def show(console: Console, finding: Finding, before: str) -> None:
    """Print one finding, with its subject unless the one before had the same."""
    text = output.text(finding.text)
    if finding.advice:
        text.append(f"\n→ {printable(finding.advice)}", style="italic")
    subject = "" if finding.subject == before else finding.subject
    console.print(output.line(subject, Text(finding.state, _STYLES[finding.state]), text))


def examine(gpu: AnyGpu) -> Iterator[Finding]:
    """Yield findings in the order of a report; asking the frameworks takes seconds."""
    usable = len(machine.usable_cpus())
    yield from cpu(machine.cpu_name(), os.cpu_count() or 1, usable, cgroup.cpu_quota())
    yield frequency(machine.governor())
    yield joules(energy.describe(meter := energy.open_meter(machine.usable_cpus())), meter.advice)
    yield memory(machine.memory_available(), cgroup.memory_limit(), machine.shell_limits())
    for part in machine.withheld():
        yield Finding("job", "note", part.what, part.advice)
    yield data()
    yield from disturbances(time.sleep)
    yield from graphics(gpu)
    yield from frameworks(gpu, machine.versions())


def can_train(findings: list[Finding]) -> bool:
    """Whether a training on the CPU can be measured: a framework can be imported."""
    return any(f.subject in backends.NAMES and f.state in ("ok", "note") for f in findings)


def cpu(name: str, count: int, usable: int, quota: float | None) -> Iterator[Finding]:
    """Say which CPUs there are and which may be used."""
    yield Finding("CPU", "ok", f"{name}, {count} CPUs")
    if usable < count:
        why = "affinity" if quota is None else f"affinity, or the cgroup's quota of {quota:g} CPUs"
        text = f"this process may use {usable} of them ({why})"
        more = "thread counts end there; to use more, change taskset or the container's limit"
        yield Finding("CPU", "note", text, more)
    if quota is not None and quota < count:
        text = f"the cgroup stops processes that use more than {quota:g} CPUs' worth of time"
        yield Finding("CPU", "note", text, "give whole CPUs (--cpuset-cpus) rather than a quota")


def frequency(governor: str | None) -> Finding:
    """Say whether the CPU's frequency may change."""
    if governor is None:
        text = "the frequency governor cannot be read, as on most virtual machines"
        return Finding("CPU", "note", text)
    text = f"frequency governor: {governor}"
    if governor == "performance":
        return Finding("CPU", "ok", text)
    advice = "sudo cpupower frequency-set -g performance"
    return Finding("CPU", "note", f"{text}; the clock follows the load", advice)


def joules(told: CpuEnergy, advice: str) -> Finding:
    """Say which meter of the energy of the CPUs there is, and who may read it."""
    if told.meter is None:
        return Finding("energy", "missing", f"not measured: {told.missing}", advice)
    watts = told.idle_package_watts
    idle = "" if watts is None else f"; {watts:.1f} W while nothing trains"
    return Finding("energy", "ok", f"{told.meter} counts {', '.join(told.counters)}{idle}")


def memory(available: int, limit: int | None, shell: Mapping[str, int]) -> Finding:
    """Say how much memory a training may use."""
    cut = "" if limit is None else f"; the cgroup's limit is {units.mebibytes(limit)}"
    for name, most in shell.items():
        cut += f"; the shell's limit is {units.mebibytes(most)} ({name})"
    text = f"{units.mebibytes(available)} available{cut}"
    if available >= _LITTLE_MEMORY:
        return Finding("memory", "ok", text)
    advice = f"free some: two workers need {units.mebibytes(_LITTLE_MEMORY)}"
    return Finding("memory", "problem", text, advice)


def data() -> Finding:
    """Say which dataset is the default."""
    try:
        name = datasets.resolve("auto")
    except HarnessError as error:
        return Finding("data", "problem", str(error), "unset MNIST_NPZ, or correct it")
    if name == "mnist":
        return Finding("data", "ok", f"MNIST from {datasets.mnist_path()}")
    text = "no MNIST here: the default is scikit-learn's digits, enlarged to MNIST's size"
    return Finding("data", "note", text, "set MNIST_NPZ to a local mnist.npz")


def disturbances(sleep: Callable[[float], None]) -> Iterator[Finding]:
    """Watch the machine for a second for other processes and a hypervisor."""
    before, begin = read_machine(), time.monotonic()
    busy = machine.busy_processes(_WATCH_SECONDS, sleep)
    after, seconds = read_machine(), time.monotonic() - begin
    loud = [f"{name} {cpus:.2f}" for name, cpus in busy if cpus > _BUSY_CPUS]
    if loud:
        text = f"other processes keep CPUs busy: {', '.join(loud[:3])}"
        advice = "end them, or measure when they are done"
        yield Finding("disturbance", "problem", text, advice)
    else:
        yield Finding("disturbance", "ok", f"no other process was busy for {seconds:.0f} s")
    yield Finding("disturbance", "ok", f"load average {os.getloadavg()[0]:.2f} in the last minute")
    stolen = change(before, after)["steal_seconds"]
    if stolen is None:
        yield Finding("disturbance", "note", "CPU time taken by a hypervisor is not reported")
        return
    steal = stolen / seconds / (os.cpu_count() or 1)
    text = f"the hypervisor gave {100 * steal:.1f} % of CPU time to others"
    if steal > _STEAL_SHARE:
        yield Finding("disturbance", "problem", text, "measure when the host is quieter")
    else:
        yield Finding("disturbance", "ok", text)


def graphics(gpu: AnyGpu) -> Iterator[Finding]:
    """Say which GPU is used, what NVML reports, and what not."""
    facts = gpu.facts
    if facts is None:
        yield Finding("GPU", "note", gpu.reason or "no GPU", "cases run on the CPU")
        return
    of = f"driver {facts.driver or '?'}, CUDA up to {facts.cuda or '?'}"
    kind = ", ".join(filter(None, [facts.architecture, facts.compute_capability]))
    name = f"{facts.name} ({kind})" if kind else facts.name
    yield Finding("GPU", "ok", f"{name}, {units.mebibytes(facts.memory_bytes)}, {of}")
    yield Finding("GPU", "ok", f"{facts.uuid or 'no UUID'}, chosen by {facts.chosen_by}")
    reading, processes = gpu.read(), gpu.processes()
    told = [f.name for f in fields(GpuReading) if getattr(reading, f.name) is not None]
    yield Finding("GPU", "ok", f"NVML reports {', '.join(told).replace('_', ' ') or 'nothing'}")
    by_reason = grouped(facts.refused.items(), lambda item: item[1])
    for why, items in by_reason.items():
        what = ", ".join(name.replace("_", " ") for name, _ in items)
        yield Finding("GPU", "note", f"NVML does not report {what}: {why}", _HELP.get(why, ""))
    if facts.persistence_mode is False:
        text = "persistence mode is off: a start takes seconds longer where nothing uses the GPU"
        yield Finding("GPU", "note", text, "sudo nvidia-smi -pm 1")
    if processes:
        count = "1 process is" if len(processes) == 1 else f"{len(processes)} processes are"
        yield Finding("GPU", "problem", f"{count} on it", "end them: nvidia-smi lists them")
    if (reading.throttle_reasons or 0) & _THERMAL:
        yield Finding("GPU", "problem", "clocks are lowered because of heat", "improve its cooling")


_THERMAL = 0x8 | 0x20 | 0x40  # hardware slowdown, software and hardware thermal slowdown
_HELP = {
    "Insufficient Permissions": "run as root, or have the driver allow it",
    "Not Supported": "nothing: this GPU or its virtualization has no such counter",
}


def frameworks(gpu: AnyGpu, versions: dict[str, str]) -> Iterator[Finding]:
    """Say which frameworks are installed and which see the GPU."""
    for name in backends.NAMES:
        yield _framework(name, versions.get(name, ""), gpu)


def _framework(name: str, version: str, gpu: AnyGpu) -> Finding:
    backend = backends.find(name)
    if lack := backend.missing():
        text, _, advice = lack.partition(": ")
        return Finding(name, "missing", text, advice)
    try:
        seen = visible_gpus.of_framework(name, gpu.cuda_device)
    except visible_gpus.NotListed as error:
        advice = f"install it anew: pip install {name}"
        return Finding(name, "problem", f"{version}: {error}", advice)
    if seen.gpus:
        late = late_first_step(name, seen, gpu)
        state: Literal["note", "ok"] = "note" if late else "ok"
        return Finding(name, state, f"{version}, sees {', '.join(seen.gpus)}", late)
    if gpu.name is None:
        return Finding(name, "ok", f"{version}, trains on the CPU")
    said = f": {seen.said}" if seen.said else ""
    advice = f"to train on it: {backend.gpu_build}"
    return Finding(name, "note", f"{version}, does not see the GPU{said}", advice)
