"""What a user can set: each option is one field of `Settings` with text, default and parser."""

import argparse
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from harness.commands.values import checked, count, list_of, named, one_of, positive
from harness.errors import BadCase
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.discovery import find as find_hosts
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.worker_process import Traceback
from harness.records import DEVICES, Protocol
from harness.records import protocol as protocols
from harness.worker import backends
from harness.workloads import ladder, levers, registry

AUTO = "auto"
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as a user sees it.

    Attributes:
        name: As on the command line, without the dashes.
        metavar: What its value looks like.
        text: What it means, units included.
        parse: Text to value; raises a HarnessError that says what is wrong.
        default: As text; None where the suite or the machine decides.
        only: The commands that have it, `suites` for pytest; empty for all that measure.
        bare: The value of the option without one; None where it needs one.
    """

    name: str
    metavar: str
    text: str
    parse: Callable[[str], Any]
    default: str | None
    only: tuple[str, ...]
    bare: str | None

    @property
    def key(self) -> str:
        """The name as an identifier."""
        return self.name.replace("-", "_")

    @property
    def help(self) -> str:
        """The text with its default."""
        return self.text + (f" (default: {self.default})" if self.default else "")

    def arguments(self) -> dict[str, Any]:
        """What `add_argument` and pytest's `addoption` take; absent is None."""
        found: dict[str, Any] = {"metavar": self.metavar, "help": self.help}
        return found if self.bare is None else {**found, "nargs": "?", "const": self.bare}


def option(
    metavar: str,
    text: str,
    *,
    parse: Callable[[str], Any] = str,
    default: str | None = None,
    absent: Callable[[], Any] = lambda: None,
    only: tuple[str, ...] = (),
    bare: str | None = None,
) -> Any:
    """Declare a field of `Settings` as an option.

    `absent` returns the value where neither the user nor `default` says one; the other arguments
    are the attributes of `Option`.
    """
    return dataclasses.field(
        default_factory=absent if default is None else lambda: parse(default),
        metadata={
            "metavar": metavar,
            "text": text,
            "parse": parse,
            "default": default,
            "only": only,
            "bare": bare,
        },
    )


def _share(text: str) -> float:
    if (value := positive(text)) > 1:
        raise BadCase(f"{text!r} is not a share, above 0 and up to 1")
    return value


def _threads(text: str) -> int:
    if (threads := count(text)) > (cpus := len(usable_cpus())):
        raise BadCase(f"{threads} is more than the {cpus} CPUs that this process may use")
    return threads


def _backend(text: str) -> str:
    if lack := backends.find(text).missing():
        raise BadCase(lack)
    return text


def _devices(text: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(list_of(one_of(dict.fromkeys((AUTO, *DEVICES))))(text)))
    if not wanted or (AUTO in wanted and len(wanted) > 1):
        raise BadCase(f"{text!r} is none of auto, cpu, gpu or cpu,gpu")
    return wanted


def _batch_sizes(text: str) -> tuple[int, ...]:
    return () if text == AUTO else list_of(count)(text)


def _hosts(text: str) -> Hosts | None:
    try:
        return find_hosts(text)
    except BadCase as error:
        raise BadCase(str(error).removeprefix("hosts: ")) from error


_SUITES = ("suites",)


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings; a field made by `option` is an option of that name.

    Attributes:
        batch_sizes: Empty: search for them.
        gpu_demanded: True if `devices` named the GPU: then a GPU that cannot be used is an error.
    """

    variants: tuple[str, ...] = option(
        "A,B",
        "models to train: bundled names, file.py:build, pkg.mod:build, keras.applications:NAME "
        "(default: those of each suite)",
        parse=list_of(checked(registry.check)),
        absent=tuple,
        only=_SUITES,
    )
    batch_sizes: tuple[int, ...] = option(
        "N,N",
        "batch sizes, in samples per step",
        parse=_batch_sizes,
        default="256,1024,4096",
        only=("suites", "run"),
    )
    devices: tuple[str, ...] = option(
        "auto|cpu|gpu|cpu,gpu",
        "auto: the CPU, and the GPU where there is one",
        parse=_devices,
        default=AUTO,
    )
    gpu_demanded: bool = False
    threads: int = option(
        "N",
        "CPU threads that a worker may use (default: all that this process may use)",
        parse=_threads,
        absent=lambda: len(usable_cpus()),
    )
    backend: str = option(
        "NAME",
        f"Keras backend: {', '.join(backends.NAMES)}",
        parse=_backend,
        default="tensorflow",
    )
    dataset: str = option(
        "NAME|FILE",
        "auto, mnist, digits, synthetic, fitted, FILE.npz or FILE.py:function; auto: MNIST if it "
        "is on this machine, else digits; for a model of your own its function data(), else "
        "random data that fits it",
        default=AUTO,
    )
    loss: str | None = option(
        "NAME", "a Keras loss, for a model that is not compiled, or in place of its own"
    )
    optimizer: str | None = option("NAME", "likewise a Keras optimizer")
    input_shape: tuple[int, ...] | None = option(
        "N,N", "shape of one sample, where the model leaves it open: 96,96,3", parse=list_of(count)
    )
    effort: str = option(
        "EFFORT",
        "quick (shows no verdicts), default or thorough",
        parse=one_of(protocols.EFFORTS),
        default="default",
    )
    steps: int | None = option(
        "N", "steps per round (default: chosen once per comparison)", parse=count
    )
    timeout: float = option(
        "SECONDS",
        "longest time that a worker may be silent, in seconds",
        parse=positive,
        default="300",
    )
    max_minutes: float | None = option(
        "M", "stay near M minutes by dropping repeats, never cases", parse=positive
    )
    memory_limit: float | None = option(
        "GIB",
        "most memory that a worker may take while batch sizes are searched, in GiB (default: "
        "what is free)",
        parse=positive,
        only=("run",),
    )
    ladder: str | None = option(
        "STEPS",
        "a ladder of your own: baseline@256,+adam,my.py:build,@1024",
        parse=checked(ladder.steps),
        only=_SUITES,
    )
    replicas: tuple[int, ...] = option(
        "N,N",
        "numbers of devices that share a batch (default: 2, 4 and so on up to the number of GPUs; "
        "2 logical devices on a CPU)",
        parse=list_of(count),
        absent=tuple,
        only=_SUITES,
    )
    hosts: Hosts | None = option(
        "auto|HOST,HOST[@N]",
        "several hosts, each started with the same command; auto: as Slurm, Open MPI or "
        "Kubernetes says; @N: this host is number N, from 0 (default: found by its name)",
        parse=_hosts,
        only=_SUITES,
    )
    levers: tuple[str, ...] = option(
        "A,B",
        "settings to try: precision=mixed_bfloat16,jit=on+onednn=off (default: all that the "
        "backend has)",
        parse=list_of(checked(levers.check)),
        absent=tuple,
        only=("suites", "tune"),
    )
    epochs: int | None = option(
        "N", "epochs of every full training (default: its recipe's)", parse=count, only=_SUITES
    )
    seeds: int | None = option(
        "N",
        "full trainings of each recipe (default by effort: 1, 3 or 6)",
        parse=count,
        only=_SUITES,
    )
    target: float = option(
        "SHARE",
        "test accuracy of a full training, the time to which is measured",
        parse=_share,
        default="0.985",
        only=_SUITES,
    )
    traceback: Traceback = option(
        "short|full",
        "traceback of a failed model: short (the frames of your own files) or full",
        parse=one_of(dict.fromkeys(get_args(Traceback))),
        default="short",
    )
    output: Path = option("DIR", "folder of results", parse=Path, default="results")
    resume: str | None = option(
        "RUN",
        f"continue an interrupted run: its id or a beginning of it (alone: {LATEST})",
        bare=LATEST,
    )

    @property
    def protocol(self) -> Protocol:
        """How to measure: the effort's protocol with the user's steps and timeout."""
        return protocols.choose(self.effort, self.steps, self.timeout)

    @property
    def max_seconds(self) -> float | None:
        """Time limit of the run; None where there is none."""
        return None if self.max_minutes is None else 60 * self.max_minutes

    @property
    def memory_bytes(self) -> int | None:
        """Most memory of a worker in a search; None for what is free."""
        return None if self.memory_limit is None else round(self.memory_limit * 2**30)


OPTIONS = tuple(
    Option(name=field.name.replace("_", "-"), **field.metadata)
    for field in dataclasses.fields(Settings)
    if field.metadata
)


def options_of(command: str) -> tuple[Option, ...]:
    """The options of a command; `suites` for pytest's."""
    return tuple(one for one in OPTIONS if not one.only or command in one.only)


def add_arguments(
    parser: argparse.ArgumentParser, options: Iterable[str | Option], **texts: str
) -> None:
    """Add options to a command.

    Args:
        parser: The command's.
        options: Options, or their names.
        texts: Help in place of an option's own, by its key.
    """
    known = {one.name: one for one in OPTIONS}
    for one in options:
        found = known[one] if isinstance(one, str) else one
        arguments = {**found.arguments(), "default": found.default}
        if found.key in texts:
            arguments["help"] = texts[found.key]
        parser.add_argument(f"--{found.name}", **arguments)


def parse(
    given: Mapping[str, str | None],
    root: Path,
    gpu: AnyGpu,
    prefix: str = "--",
    **fixed: Any,
) -> Settings:
    """Check what a user gave.

    Args:
        given: Text by option name or key; None or absent means the default.
        root: What a relative output folder is relative to.
        gpu: From `gpu.open_gpu()`.
        prefix: Put before a name in messages.
        fixed: Fields that are no option of the command.

    Raises:
        HarnessError: a value that cannot be used; the text says which and why.
    """
    values = {
        one.key: named(f"{prefix}{one.name}", one.parse, text)
        for one in OPTIONS
        if (text := given.get(one.name) or given.get(one.key))
    }
    settings = Settings(**{**values, **fixed})
    demanded = "gpu" in settings.devices
    if demanded and gpu.name is None:
        raise BadCase(f"{prefix}devices: a GPU was named and there is none ({gpu.reason})")
    devices = settings.devices
    if devices == (AUTO,):
        devices = ("cpu",) if gpu.name is None else ("cpu", "gpu")
    return dataclasses.replace(
        settings, devices=devices, gpu_demanded=demanded, output=root / settings.output
    )
