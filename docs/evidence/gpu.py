"""All that can be shown only on a GPU, in one command; its plan is 25 minutes.

    python docs/evidence/gpu.py [--parts fork,load] [--resume FOLDER]

Each part stands by itself. What it finds is kept at once, in `gpu.json` and `gpu.md` of a folder
below `results/gpu`; with `--resume` the parts in which something was tried are not repeated. A
claim holds, falls short, or is not shown, as in `harness validate`. Needs one of TensorFlow, JAX
and Torch.
"""

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import log
from pathlib import Path
from unittest import mock

from rich.console import Console

from harness.analyze import stats
from harness.analyze.explain import layers as explain
from harness.commands.validate import output, readings
from harness.commands.validate.claims import Check, contains, decided, ratio
from harness.measure import profiling
from harness.measure.budget import Budget
from harness.measure.machine import facts, nvml_recording, visible_gpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.runner import Runner
from harness.measure.side import Setup, Side
from harness.measure.workers.launcher import Launcher, Method
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Failure, Machine, Measurement, from_json, to_json
from harness.records.folders import new_run_folder
from harness.records.protocol import EFFORTS
from harness.report.progress import Progress
from harness.worker import backends

LOAD = Path(__file__).with_name("gpu_load.py")
SUITES = Path(__file__).parents[2] / "suites"
_MINUTES = 25.0
_SUITES_MINUTES = 8
# What a part takes at most, by plan: it does not begin where less is left.
_PART_MINUTES = {"alike": 10.0, "suites": float(_SUITES_MINUTES)}
_OTHER_PART_MINUTES = 4.0
_READ_SECONDS = 0.1
_SETTLE_SECONDS = 2.0  # the counter of utilization covers up to a second before
_ENERGY_SECONDS = 20.0
_WATCHED_STEPS = 100
_LARGE_BATCH, _BUSY = 4096, 0.9  # to keep the GPU busy for nine tenths of a step
_LOAD_SECONDS = 300.0  # the longest that a known load may take to end


@dataclass
class Hour:
    """What every part needs.

    Attributes:
        seen: Backends whose framework sees the GPU.
        unseen: Why each other one does not.
        quick: Short parts, to try the script itself.
    """

    folder: Path
    gpu: AnyGpu
    machine: Machine
    console: Console
    quick: bool = False
    seen: list[str] = field(default_factory=list)
    unseen: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in backends.NAMES:
            backend = backends.find(name)
            if (lack := backend.missing()) is not None:
                self.unseen[name] = lack
                continue
            try:
                found = visible_gpus.of_framework(name, self.gpu.cuda_device)
            except visible_gpus.NotListed as error:
                self.unseen[name] = str(error)
                continue
            if found.gpus and self.gpu.name is not None:
                self.seen.append(name)
            else:
                self.unseen[name] = backend.unseen(found.said)

    def case(self, backend: str = "") -> Case:
        """The usual case, of the first backend that sees the GPU unless one is named."""
        name = backend or self.seen[0]
        jit = backends.find(name).jit_by_default
        return Case("improved", "synthetic", 256, name, device="gpu", threads=1, jit=jit)

    def launcher(self, method: Method = "fork") -> Launcher:
        """A launcher for workers on the GPU."""
        return Launcher(method, cuda_device=self.gpu.cuda_device)

    def load(self, *arguments: object, backend: str = "") -> "subprocess.Popen[str]":
        """Start a process with a known load on the GPU."""
        name = backend or self.seen[0]
        environment = backends.find(name).environment("gpu", self.gpu.cuda_device)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        return subprocess.Popen(
            [sys.executable, str(LOAD), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )


class Failed(Exception):
    """A process with a known load has ended before its time."""


def _ready(load: "subprocess.Popen[str]") -> None:
    assert load.stdout is not None
    for line in load.stdout:
        if line.strip() == "ready":
            return
    raise Failed(f"the load ended with {load.wait()}")


def _result(load: "subprocess.Popen[str]") -> dict[str, float]:
    try:
        told, _ = load.communicate("\n\n", timeout=_LOAD_SECONDS)
    finally:
        load.kill()
    if load.returncode or not told.strip():
        raise Failed(f"the load ended with {load.returncode}")
    found: dict[str, float] = json.loads(told.strip().splitlines()[-1])
    return found


def fork(hour: Hour) -> Iterator[Check]:
    """Does a worker of each framework train on the GPU, however it is started?"""
    for name in backends.NAMES:
        for method in ("fork", "spawn"):
            subject = f"{name}: a worker by {method} trains on the GPU"
            if name in hour.unseen:
                yield Check(subject, "", hour.unseen[name], 0, "not shown")
                continue
            case = hour.case(name)
            with hour.launcher(method) as launcher:  # type: ignore[arg-type]
                side = Side.start(case, Setup(EFFORTS["default"], launcher, hour.gpu))
                try:
                    side.open()
                    side.warm_up()
                    found = f"{side.facts.device_name}, {1e3 * side.step_seconds:.2f} ms per step"
                    on_gpu = side.facts.device_name != "cpu"
                    yield decided(subject, "not on the CPU", found, 1, holds=on_gpu)
                finally:
                    side.end()


def recording(hour: Hour) -> Iterator[Check]:
    """Record NVML while the GPU idles and while it works."""
    path = hour.folder / "nvml.tsv"
    with nvml_recording.recorded(path):
        gpu = open_gpu()
        gpu.processes()
        _read(gpu, 2.0)
        load = hour.load("busy", 1.0, 8.0)
        _ready(load)
        _read(gpu, 8.0)
        _result(load)
        gpu.processes()
    calls = path.read_text(encoding="utf-8").count("\n") - 1
    yield decided("recording of NVML", "has calls", f"{calls} calls", calls, holds=calls > 0)


def _read(gpu: AnyGpu, seconds: float) -> list[tuple[float, float | None, float | None]]:
    """Second, watts and joules, until the seconds have passed."""
    begin, found = time.perf_counter(), []
    while (now := time.perf_counter() - begin) < seconds:
        reading = gpu.read()
        found.append((now, reading.power_watts, reading.energy_joules))
        time.sleep(_READ_SECONDS)
    return found


def product(hour: Hour) -> Iterator[Check]:
    """Is the rate of a matrix product that of products of known FLOP?"""
    for name in hour.seen:
        found = _result(hour.load("product", backend=name))
        share = found["found"] / found["known"]
        text = f"{share:.3f}; {found['known'] / 1e12:.1f} TFLOP/s, size {found['size']:.0f}"
        subject = f"{name}: rate of a product over that of products back to back"
        yield decided(subject, "within 5 %", text, 1, holds=abs(share - 1) <= 0.05)


def load(hour: Hour) -> Iterator[Check]:
    """Is the utilization that of a loop of kernels of known load?"""
    for share in (0.25, 0.5, 1.0):
        process = hour.load("busy", share, _SETTLE_SECONDS + 4.0)
        _ready(process)
        time.sleep(_SETTLE_SECONDS)
        read = []
        for _ in range(30):
            read.append(hour.gpu.read().utilization_percent)
            time.sleep(_READ_SECONDS)
        known = 100 * _result(process)["share"]
        told = [value for value in read if value is not None]
        subject, claim = f"utilization, {100 * share:.0f} % of the time busy", "within 10 points"
        if not told:
            why = hour.gpu.refused.get("utilization_percent", "no reading")
            yield Check(subject, claim, why, 0, "not shown")
            continue
        mean = sum(told) / len(told)
        text = f"{mean:.0f} %, known {known:.0f} %"
        yield decided(subject, claim, text, len(told), holds=abs(mean - known) <= 10)


def memory(hour: Hour) -> Iterator[Check]:
    """Is a known allocation what NVML's memory grows by?"""
    process = hour.load("memory")
    assert process.stdin is not None
    _ready(process)
    before = hour.gpu.read().memory_bytes
    process.stdin.write("\n")
    process.stdin.flush()
    _ready(process)
    after = hour.gpu.read().memory_bytes
    known = _result(process)["bytes"]
    subject, claim = "NVML's memory over a known allocation", "within 2 %"
    if before is None or after is None:
        why = hour.gpu.refused.get("memory_bytes", "no reading")
        yield Check(subject, claim, why, 0, "not shown")
        return
    share = (after - before) / known
    yield decided(subject, claim, f"{share:.3f}", 1, holds=abs(share - 1) <= 0.02)


def energy(hour: Hour) -> Iterator[Check]:
    """Is the counter of energy the integral of power?"""
    seconds = 3.0 if hour.quick else _ENERGY_SECONDS
    process = hour.load("busy", 1.0, seconds + 2.0)
    _ready(process)
    time.sleep(1.0)
    points = _read(hour.gpu, seconds)
    _result(process)
    subject, claim = f"counter of energy over power × time, {seconds:.0f} s", "within 5 %"
    pairs = [(s, w, j) for s, w, j in points if w is not None and j is not None]
    if len(pairs) < 2:
        why = [hour.gpu.refused.get(name, "") for name in ("power_watts", "energy_joules")]
        yield Check(subject, claim, "; ".join(filter(None, why)) or "no reading", 0, "not shown")
        return
    steps = itertools.pairwise(pairs)
    integral = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in steps)
    share = (pairs[-1][2] - pairs[0][2]) / integral
    text = f"{share:.3f}; {integral / (pairs[-1][0] - pairs[0][0]):.0f} W"
    yield decided(subject, claim, text, len(pairs), holds=abs(share - 1) <= 0.05)


def watching(hour: Hour) -> Iterator[Check]:
    """Does reading the GPU beside a round change the round?"""
    steps, blocks = (1, 2) if hour.quick else (_WATCHED_STEPS, 6)
    with hour.launcher() as launcher:
        yield readings.watching(launcher, hour.case(), steps, blocks, hour.gpu)


def events(hour: Hour) -> Iterator[Check]:
    """Is a round as long as CUDA's own events say?"""
    subject = "seconds of a round over those of CUDA's events"
    if "torch" not in hour.seen:
        yield Check(subject, "within 1 %", hour.unseen["torch"], 0, "not shown")
        return
    found = _result(hour.load("events", 2 if hour.quick else 50, backend="torch"))
    pairs = zip(found["clock"], found["device"], strict=True)  # type: ignore[call-overload]
    yield ratio(subject, stats.log_interval([log(mine / its) for mine, its in pairs]), 0.01)


def alike(hour: Hour) -> Iterator[Check]:
    """The same case twice: one worker after the other, as now, and in turns."""
    widths = {}
    for way, in_turns in (("one after the other", False), ("in turns", True)):
        found = _against_itself(hour, way.replace(" ", "_"), in_turns=in_turns)
        if not isinstance(found, Measurement):
            yield Check(way, "", f"{found.kind}: {found.message}", 0, "not shown")
            continue
        estimate = stats.speedup(found)
        subject, claim = f"a case against itself, {way}", "interval holds 1"
        text = f"{estimate.value:.4f}"
        if estimate.low is None or estimate.high is None:
            yield Check(subject, claim, f"{text}, too few blocks", estimate.n, "not shown")
            continue
        widths[way] = 50 * (estimate.high - estimate.low)
        text += f" [{estimate.low:.4f}, {estimate.high:.4f}], half-width {widths[way]:.2f} %"
        yield decided(subject, claim, text, estimate.n, holds=contains(estimate, 1.0))
    if len(widths) == 2:
        narrower = min(widths, key=lambda way: widths[way])
        yield Check("the narrower way", "", narrower, 0, "for comparison")


def _against_itself(hour: Hour, name: str, *, in_turns: bool) -> Measurement | Failure:
    blocks, seconds = (3, 1.0) if hour.quick else (10, 6.0)
    protocol = replace(EFFORTS["default"], blocks=blocks, block_seconds=seconds)
    observer = Progress(hour.console, 1)
    with contextlib.ExitStack() as stack:
        if in_turns:  # else the harness never does that on a GPU
            for module in ("block", "group", "grouping"):
                target = f"harness.measure.{module}.is_interleaved"
                stack.enter_context(mock.patch(target, return_value=True))
        launcher = stack.enter_context(hour.launcher())
        setup, budget = Setup(protocol, launcher, hour.gpu), Budget(None, 1, time.monotonic)
        runner = Runner.open(hour.folder / name, setup, hour.machine, observer, budget)
        stack.callback(runner.close)
        return runner.measure(hour.case(), hour.case())


def suites(hour: Hour) -> Iterator[Check]:
    """CPU against GPU: speedup, crossover, break-even, batch sizes; at default effort."""
    chosen = [SUITES / "test_device.py", SUITES / "test_batch_size.py"]
    options = {
        "devices": "cpu,gpu",
        "backend": hour.seen[0],
        "output": str(hour.folder / "suites"),
        "max-minutes": str(_SUITES_MINUTES),
    }
    if hour.quick:
        options |= {"effort": "quick", "variants": "improved", "batch-sizes": "64,256"}
    given = [f"--train-{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *map(str, chosen), *given],
        capture_output=True,
        text=True,
        cwd=SUITES.parent,
        check=False,
    )
    (hour.folder / "suites.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    lines = [line for line in done.stdout.splitlines() if line.strip()] or ["no output"]
    subject, last = "suites of device and batch size", lines[-1].strip("= ")
    yield decided(subject, "exit code 0", last, 1, holds=done.returncode == 0)


def layers(hour: Hour) -> Iterator[Check]:
    """Do kernels find their layers, and does tracing leave them as they are?"""
    for name in hour.seen:
        case = hour.case(name) if hour.quick else replace(hour.case(name), batch_size=_LARGE_BATCH)
        try:
            with hour.launcher() as launcher:
                setup = Setup(EFFORTS["default"], launcher, hour.gpu)
                profile = profiling.profile(case, setup, hour.folder / name, 1)
        except WorkerFailed as error:
            yield Check(f"{name}: time per layer", "", str(error), 0, "not shown")
            continue
        rows = {row.name: row.share.value for row in explain.times(profile)}
        busy = 1 - rows[explain.IDLE]
        known = 1 - rows[explain.UNATTRIBUTED] / busy
        text = f"{100 * known:.0f} %; the GPU is busy for {100 * busy:.0f} % of a step"
        subject = f"{name}: time of kernels and copies that is for a part of the model"
        yield decided(subject, "at least 90 %", text, 1, holds=known >= 0.9)
        (worker,) = profile.workers
        over = worker.operations_seconds / worker.step_seconds
        subject = f"{name}: that time in a trace over a step without one"
        if over < _BUSY:  # the GPU waits, and kernels could have become longer unseen
            yield Check(subject, "at most 1.02", f"{over:.2f}, an idle GPU", 1, "not shown")
        else:
            yield decided(subject, "at most 1.02", f"{over:.2f}", 1, holds=over <= 1.02)


PARTS: dict[str, Callable[[Hour], Iterator[Check]]] = {
    one.__name__: one
    for one in (
        recording, fork, product, load, memory, energy, watching, events, alike, suites, layers
    )
}  # fmt: skip


def tried(hour: Hour, part: str) -> list[Check]:
    """The checks of a part; what goes wrong is a check that is not shown, with its reason."""
    if not hour.seen and part != "fork":
        why = hour.gpu.reason or "; ".join(hour.unseen.values())
        return [Check(part, "", why, 0, "not shown")]
    found: list[Check] = []
    try:
        found.extend(PARTS[part](hour))
    except Exception as error:  # whatever it is: the other parts go on
        found.append(Check(part, "", f"{type(error).__name__}: {error}", 0, "not shown"))
        with (hour.folder / "failures.log").open("a", encoding="utf-8") as log_file:
            traceback.print_exc(file=log_file)
    return found


def save(folder: Path, machine: Machine, found: dict[str, Sequence[Check]]) -> None:
    """Write what is known, as JSON and as a report."""
    parts = {name: to_json(checks) for name, checks in found.items()}
    document = {"id": folder.name, "machine": to_json(machine), "parts": parts}
    (folder / "gpu.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    gpu = machine.gpu_facts
    about = machine.gpu_reason if gpu is None else f"{gpu.name}, driver {gpu.driver}"
    lines = [f"# {folder.name}", "", f"{output.caption(machine)}; {about}.", ""]
    lines += ["| tried | must hold | found | n | verdict |", "| --- | --- | --- | ---: | --- |"]
    for checks in found.values():
        for one in checks:
            text = one.found.replace("|", "/").replace("\n", " ")
            lines.append(f"| {one.subject} | {one.claim} | {text} | {one.n} | {one.verdict} |")
    (folder / "gpu.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _is_tried(check: Check) -> bool:
    """Whether something was measured, or judged without a measurement."""
    return check.n > 0 or check.verdict != "not shown"


def main() -> int:
    """Try the parts that are not known yet; 1 if a claim falls short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="of: " + ", ".join(PARTS))
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on in this folder")
    parser.add_argument("--output", type=Path, default=Path("results"))
    parser.add_argument("--quick", action="store_true", help="short parts, to try this script")
    arguments = parser.parse_args()
    begin, console = time.monotonic(), Console()
    folder = arguments.resume or new_run_folder(arguments.output, "gpu")
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Sequence[Check]] = {}
    if arguments.resume and (folder / "gpu.json").exists():
        known = json.loads((folder / "gpu.json").read_text(encoding="utf-8"))["parts"]
        found |= from_json(dict[str, tuple[Check, ...]], known)
        found = {part: checks for part, checks in found.items() if any(map(_is_tried, checks))}
    wanted = arguments.parts.split(",")
    if unknown := [part for part in wanted if part not in PARTS]:
        parser.error(f"no part is named {', '.join(unknown)}; there are {', '.join(PARTS)}")
    gpu = open_gpu()
    hour = Hour(folder, gpu, facts.describe(gpu), console, arguments.quick)
    for part in (name for name in wanted if name not in found):
        left = _MINUTES - (time.monotonic() - begin) / 60
        if left < _PART_MINUTES.get(part, _OTHER_PART_MINUTES):
            checks = [Check(part, "", "no time was left", 0, "not shown")]
        else:
            checks = tried(hour, part)
            found[part] = checks
            save(folder, hour.machine, found)
        output.show(console, part, checks, hour.machine)
    output.conclude(console, found, hour.machine)
    console.print(f"Written to {folder}")
    return int(any(one.verdict == "falls short" for its in found.values() for one in its))


if __name__ == "__main__":
    raise SystemExit(main())
