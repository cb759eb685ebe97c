"""What a user can set, from pytest or the command line: names, defaults, checks."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from harness.errors import BadCase
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.discovery import find as find_hosts
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.records import DEVICES, Protocol
from harness.records import protocol as protocols
from harness.worker import backends
from harness.workloads import ladder, levers, registry

N = TypeVar("N", int, float)
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as a user sees it.

    Attributes:
        name: As on the command line, without the dashes.
        metavar: What its value looks like.
        text: What it means, units included.
        default: As text; None when it depends on the suite or the machine.
        only: Whether `suites` or `run` alone have it; empty for both.
    """

    name: str
    metavar: str
    text: str
    default: str | None = None
    only: Literal["", "suites", "run"] = ""


OPTIONS = (
    Option("variants", "A,B", "what to train: bundled names, file.py:build, pkg.mod:build, "
           "keras.applications:NAME", only="suites"),
    Option("batch-sizes", "N,N", "batch sizes, in samples", "256,1024,4096"),
    Option("devices", "auto|cpu|gpu|cpu,gpu", "auto: CPU, and the GPU where there is one", "auto"),
    Option("threads", "N", "CPU threads a worker may use (default: all that it may)"),
    Option("backend", "NAME", f"Keras backend: {', '.join(backends.NAMES)}", "tensorflow"),
    Option(
        "dataset",
        "NAME|FILE",
        "auto, mnist, digits, synthetic, fitted, FILE.npz or FILE.py:function; auto: MNIST "
        "when it is on this machine, else digits, and for a model of your own its function "
        "data(), else what fits it",
        "auto",
    ),
    Option("loss", "NAME", "a Keras loss, for a model that is not compiled or instead of its own"),
    Option("optimizer", "NAME", "likewise a Keras optimizer"),
    Option("input-shape", "N,N", "of one sample, where the model leaves it open: 96,96,3"),
    Option("effort", "EFFORT", "quick (shows no verdicts), default or thorough", "default"),
    Option("steps", "N", "exactly N steps a round (default: chosen once a comparison)"),
    Option("timeout", "SECONDS", "longest that a worker may be silent, in seconds", "300"),
    Option("max-minutes", "M", "drop repeats, never cases, to stay under M minutes"),
    Option("memory-limit", "GIB", "most that a worker may take while batch sizes are searched, "
           "in GiB (default: what is free)", only="run"),
    Option("ladder", "STEPS", "a ladder of your own: baseline@256,+adam,my.py:build,@1024",
           only="suites"),
    Option("replicas", "N,N", "devices that share a batch (default: 2, 4 and so on, as many GPUs "
           "as there are; on a CPU 2 logical ones)", only="suites"),
    Option("hosts", "auto|HOST,HOST[@N]", "several hosts, each started with the same command; "
           "auto: as Slurm, Open MPI or Kubernetes say; @N: which one this is, from 0 (default: "
           "found by its name)", only="suites"),
    Option("levers", "A,B", "levers to try: precision=mixed_bfloat16,jit=on+onednn=off "
           "(default: all that the backend has)", only="suites"),
    Option("epochs", "N", "convergence: epochs of every training (default: those of its recipe)",
           only="suites"),
    Option("seeds", "N", "convergence: trainings of each recipe (default: by effort 1, 3, 6)",
           only="suites"),
    Option("target", "SHARE", "convergence: accuracy on the test set that is timed to", "0.985",
           only="suites"),
    Option("output", "DIR", "folder of results", "results"),
)  # fmt: skip
SUITE_OPTIONS = tuple(option for option in OPTIONS if option.only != "run")
RUN_OPTIONS = tuple(option for option in OPTIONS if option.only != "suites")
TUNE_OPTIONS = tuple(
    option
    for option in OPTIONS
    if option.name == "levers" or (not option.only and option.name != "batch-sizes")
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings.

    Attributes:
        variants: Empty: what each suite says.
        batch_sizes: Samples a step; empty: search for them.
        devices: `cpu`, `gpu`.
        gpu_demanded: Whether the GPU was named: then it is a mistake if it cannot be used.
        threads: CPU threads a worker may use.
        backend: Keras backend.
        dataset: As given; resolved when something is trained.
        loss: Instead of the variants' own; None for that.
        optimizer: Likewise.
        input_shape: Of one sample, where variants leave it open.
        memory_bytes: Most that a worker may take in a search; None for what is free.
        protocol: Effort with steps and timeout.
        max_seconds: Limit of the whole run, or None.
        ladder: Its steps, or None for those that a suite says.
        hosts: Those of the job, if it has several.
        replicas: Numbers of devices that share a batch; empty for what there is.
        levers: Those to try; empty for all that the backend has.
        epochs: Epochs of every training in full, or None for those of its recipe.
        seeds: Trainings of each recipe.
        target: Accuracy that trainings are timed to.
        output: Folder of results.
    """

    variants: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    devices: tuple[str, ...]
    gpu_demanded: bool
    threads: int
    backend: str
    dataset: str
    loss: str | None
    optimizer: str | None
    input_shape: tuple[int, ...] | None
    memory_bytes: int | None
    protocol: Protocol
    max_seconds: float | None
    ladder: str | None
    hosts: Hosts | None
    replicas: tuple[int, ...]
    levers: tuple[str, ...]
    epochs: int | None
    seeds: int
    target: float
    output: Path


def parse(given: Mapping[str, str | None], root: Path, gpu: AnyGpu, prefix: str = "--") -> Settings:
    """Check what a user gave.

    Args:
        given: Text by option name; None or absent means the default.
        root: What a relative output folder is relative to.
        gpu: From `gpu.open_gpu()`.
        prefix: Put before a name in messages.

    Raises:
        BadCase: a value that cannot be used; the text says which and why.
        UnknownName: no such variant, or change of a ladder.
    """
    text = {o.name: given.get(o.name) or o.default for o in OPTIONS}

    def whole(name: str, value: str) -> int:
        return _number(f"{prefix}{name}", value, int)

    def optional(name: str, kind: Callable[[str], float]) -> float | None:
        value = text[name]
        return None if value is None else _number(f"{prefix}{name}", value, kind)

    variants = tuple(_split(text["variants"]))
    for name in variants:
        registry.check(name)
    backend = text["backend"] or ""
    if backend not in backends.NAMES:
        raise BadCase(
            f"{prefix}backend: no backend {backend!r}; known: {', '.join(backends.NAMES)}"
        )
    if lack := backends.find(backend).missing():
        raise BadCase(f"{prefix}backend: {lack}")
    cpus = len(usable_cpus())
    threads = whole("threads", text["threads"]) if text["threads"] else cpus
    if threads > cpus:
        raise BadCase(f"{prefix}threads: {threads} were asked for, this process may use {cpus}")
    steps = optional("steps", int)
    epochs = optional("epochs", int)
    seeds = optional("seeds", int)
    target = _number(f"{prefix}target", text["target"] or "", float)
    if target > 1:
        raise BadCase(f"{prefix}target: {text['target']!r} is not a share, above 0 and up to 1")
    if text["ladder"]:
        ladder.steps(text["ladder"])
    wanted = tuple(_split(text["levers"]))
    for lever in wanted:
        levers.check(lever)
    effort = one_of(f"{prefix}effort", text["effort"] or "", protocols.EFFORTS)
    minutes = optional("max-minutes", float)
    memory = optional("memory-limit", float)
    sizes = [] if text["batch-sizes"] == AUTO else _split(text["batch-sizes"])
    shape = tuple(whole("input-shape", size) for size in _split(text["input-shape"]))
    return Settings(
        variants=variants,
        batch_sizes=tuple(whole("batch-sizes", size) for size in sizes),
        devices=_devices(text["devices"] or "", gpu, f"{prefix}devices"),
        gpu_demanded="gpu" in _split(text["devices"]),
        threads=threads,
        backend=backend,
        dataset=text["dataset"] or AUTO,
        loss=text["loss"],
        optimizer=text["optimizer"],
        input_shape=shape or None,
        memory_bytes=None if memory is None else round(memory * 2**30),
        protocol=protocols.choose(
            effort,
            None if steps is None else int(steps),
            _number(f"{prefix}timeout", text["timeout"] or "", float),
        ),
        max_seconds=None if minutes is None else 60 * minutes,
        ladder=text["ladder"],
        hosts=_hosts(prefix, text["hosts"]),
        replicas=tuple(whole("replicas", one) for one in _split(text["replicas"])),
        levers=wanted,
        epochs=None if epochs is None else int(epochs),
        seeds=protocols.SEEDS[effort] if seeds is None else int(seeds),
        target=target,
        output=root / (text["output"] or ""),
    )


def _hosts(prefix: str, text: str | None) -> Hosts | None:
    try:
        return find_hosts(text)
    except BadCase as error:
        raise BadCase(f"{prefix}{error}") from error


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _number(name: str, text: str, kind: Callable[[str], N]) -> N:
    try:
        value = kind(text)
    except ValueError:
        value = kind("0")
    if not value > 0 or value == float("inf"):
        what = "a whole number from 1" if kind is int else "a number above 0"
        raise BadCase(f"{name}: {text!r} is not {what}")
    return value


def one_of(name: str, text: str, known: Mapping[str, object]) -> str:
    """Return the text if it is known.

    Raises:
        BadCase: it is not; the text says what is near.
    """
    if text in known:
        return text
    near = difflib.get_close_matches(text, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    raise BadCase(f"{name}: no {text!r}; {hint}")


def some_of(name: str, text: str | None, known: Mapping[str, object]) -> tuple[str, ...]:
    """Return the known names of a list that is parted by commas; all where there is none.

    Raises:
        BadCase: one is not known.
    """
    return tuple(one_of(name, part, known) for part in _split(text)) or tuple(known)


def prices(name: str, text: str | None) -> dict[str, float]:
    """Read `RUN=PRICE,RUN=PRICE`.

    Raises:
        BadCase: one is no price.
    """
    found = {}
    for part in _split(text):
        run, _, price = part.partition("=")
        found[run] = _number(f"{name}: {run}", price, float)
    return found


def _devices(text: str, gpu: AnyGpu, name: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(_split(text)))
    for device in wanted:
        if device not in ("auto", *DEVICES):
            raise BadCase(f"{name}: no device {device!r}; known: auto, {', '.join(DEVICES)}")
    if not wanted or ("auto" in wanted and len(wanted) > 1):
        raise BadCase(f"{name}: {text!r} is none of auto, cpu, gpu or cpu,gpu")
    if wanted == ("cpu",):
        return wanted
    if gpu.name is None and "gpu" in wanted:
        raise BadCase(f"{name}: a GPU was asked for and there is none ({gpu.reason})")
    if wanted == ("auto",):
        return ("cpu",) if gpu.name is None else ("cpu", "gpu")
    return wanted
