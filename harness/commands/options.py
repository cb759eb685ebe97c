"""What a user can set: each option is one field of `Settings` with text, default and parser."""

import argparse
import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from harness.commands.values import (
    checked,
    count,
    flag,
    list_of,
    named,
    one_of,
    percent,
    positive,
    share,
    variables,
)
from harness.errors import BadCase
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.discovery import find as find_hosts
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.versions.open_version import Wanted
from harness.measure.workers.worker_process import Traceback
from harness.records import DEVICES, Protocol
from harness.records import protocol as protocols
from harness.worker import backends
from harness.workloads import ladder, levers, registry

AUTO = "auto"
LATEST = "latest"
_VERSIONS = ("suites", "run", "tune")  # `suites`: pytest
_MEASURE = (*_VERSIONS, "bisect", "profile")
_READ = ("report", "advise", "compare", "history")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as a user sees it.

    Attributes:
        metavar: What its value looks like.
        parse: Text to value; raises a HarnessError that says what is wrong.
        text: What it means, units included.
        default: As text; None: the value is None, and the suite or the machine decides.
        commands: Those that have it.
        bare: The value of the option without one; None where it needs one.
        several: Whether it may be given several times; then its text has a line per time.
        flag: Whether it has no value on the command line; then its text is `True`.
        name: As on the command line, without the dashes.
    """

    metavar: str
    parse: Callable[[str], Any]
    text: str
    default: str | None = None
    commands: tuple[str, ...] = _MEASURE
    bare: str | None = None
    several: bool = False
    flag: bool = False
    name: str = ""

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
        if self.flag:
            return {"action": "store_true", "help": self.help}
        found: dict[str, Any] = {"metavar": self.metavar, "help": self.help}
        if self.several:
            found["action"] = "append"
        return found if self.bare is None else {**found, "nargs": "?", "const": self.bare}


def option(*arguments: Any, **more: Any) -> Any:
    """Declare a field of `Settings` as an option; the arguments are those of `Option`."""
    one = Option(*arguments, **more)
    usual = (lambda: None) if one.default is None else functools.partial(one.parse, one.default)
    return dataclasses.field(default_factory=usual, metadata={"option": one})


_of_suites = functools.partial(option, commands=("suites",))


def _threads(text: str) -> int:
    cpus = len(usable_cpus())
    if (threads := count(text) if text else cpus) > cpus:
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


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings; a field made by `option` is an option of that name.

    Attributes:
        batch_sizes: Empty: search for them.
        gpu_demanded: True if `devices` named the GPU: then a GPU that cannot be used is an error.
        given: Names of the fields that the user gave.
        prefix: Before the name of an option where the user gives it.
    """

    variants: tuple[str, ...] = _of_suites(
        "A,B",
        list_of(checked(registry.check)),
        "models to train: bundled names, file.py:build, pkg.mod:build, keras.applications:NAME "
        "(default: those of each suite)",
        "",
    )
    batch_sizes: tuple[int, ...] = option(
        "N,N",
        _batch_sizes,
        "batch sizes, in samples per step",
        "256,1024,4096",
        commands=("suites", "run"),
    )
    devices: tuple[str, ...] = option(
        "auto|cpu|gpu|cpu,gpu", _devices, "auto: the CPU, and the GPU where there is one", AUTO
    )
    gpu_demanded: bool = False
    given: frozenset[str] = frozenset()
    prefix: str = "--"
    threads: int = option(
        "N", _threads, "CPU threads of a worker (default: all that this process may use)", ""
    )
    lock_clock: int | None = option(
        "MHZ",
        count,
        "hold the clock of the GPU at so many MHz during the run, if that is permitted",
    )
    backend: str = option(
        "NAME", _backend, f"Keras backend: {', '.join(backends.NAMES)}", "tensorflow"
    )
    dataset: str = option(
        "NAME|FILE",
        str,
        "auto, mnist, digits, synthetic, fitted, FILE.npz or FILE.py:function; auto: MNIST if it "
        "is on this machine, else digits; for your own model its data(), else these if it takes "
        "such images, else random data",
        AUTO,
    )
    loss: str | None = option(
        "NAME", str, "a Keras loss, for a model that is not compiled, or in place of its own"
    )
    optimizer: str | None = option("NAME", str, "likewise a Keras optimizer")
    input_shape: tuple[int, ...] | None = option(
        "N,N", list_of(count), "shape of one sample, where the model leaves it open: 96,96,3"
    )
    effort: str = option(
        "EFFORT",
        one_of(protocols.EFFORTS),
        "quick (shows no verdicts), default or thorough",
        "default",
        commands=_VERSIONS,
    )
    steps: int | None = option("N", count, "steps per round (default: chosen once per comparison)")
    timeout: float = option(
        "SECONDS", positive, "longest time that a worker may be silent, in seconds", "300"
    )
    max_minutes: float | None = option(
        "M", positive, "stay near M minutes by dropping blocks and rounds, never cases"
    )
    memory_limit: float | None = option(
        "GIB",
        positive,
        "most memory that a worker may take, in GiB: while batch sizes are searched (default: what "
        "is free), or in a profile, which says what would fit",
        commands=("run", "profile"),
    )
    ladder: str | None = _of_suites(
        "STEPS",
        checked(ladder.steps),
        "a ladder of your own: baseline@256,+adam,my.py:build,@1024",
    )
    replicas: tuple[int, ...] = _of_suites(
        "N,N",
        list_of(count),
        "numbers of devices that share a batch (default: 2, 4 and so on up to the number of GPUs; "
        "2 logical devices on a CPU)",
        "",
    )
    hosts: Hosts | None = _of_suites(
        "auto|HOST,HOST[@N]",
        _hosts,
        "several hosts, each started with the same command; auto: as Slurm, Open MPI or "
        "Kubernetes says; @N: this host is number N, from 0 (default: found by its name)",
    )
    levers: tuple[str, ...] = option(
        "A,B",
        list_of(checked(levers.check)),
        "settings to try: precision=mixed_bfloat16,jit=on+onednn=off (default: all that the "
        "backend has)",
        "",
        commands=("suites", "tune"),
    )
    epochs: int | None = _of_suites(
        "N", count, "epochs of every full training (default: its recipe's)"
    )
    seeds: int | None = _of_suites(
        "N", count, "full trainings of each recipe (default by effort: 1, 3 or 6)"
    )
    target: float = _of_suites(
        "SHARE", share, "test accuracy of a full training, the time to which is measured", "0.985"
    )
    profile: bool = option(
        "",
        flag,
        "also trace each case in a worker of its own: time of each layer; on the CPU also memory",
        "",
        commands=("suites", "run"),
        flag=True,
    )
    summary: Path | None = option(
        "FILE.md",
        Path,
        "write ten lines of Markdown, for a pull request; under GitHub also below the job",
        commands=(*_MEASURE, "compare"),
    )
    traceback: Traceback = option(
        "short|full",
        one_of(dict.fromkeys(get_args(Traceback))),
        "traceback of a failed model: short (the frames of your own files) or full",
        "short",
    )
    output: Path = option(
        "DIR", Path, "folder of results", "results", commands=(*_MEASURE, *_READ, "validate")
    )
    reference_rev: str | None = option(
        "REV",
        str,
        "compare with the same model at another commit: main, HEAD~1, a tag",
        commands=_VERSIONS,
    )
    reference_python: str | None = option(
        "PATH",
        str,
        "compare with the same model under another interpreter, or its environment's folder",
        commands=_VERSIONS,
    )
    reference_env: tuple[tuple[str, str], ...] = option(
        "NAME=VALUE",
        variables,
        "compare with the same model with another environment variable; may be repeated",
        "",
        commands=_VERSIONS,
        several=True,
    )
    fail_if_slower: float | None = option(
        "PERCENT",
        percent,
        "with two versions: exit with 1 if a case is shown to be slower by more, in percent",
        commands=_VERSIONS,
    )
    fail_if_more_memory: float | None = option(
        "PERCENT",
        percent,
        "likewise if the peak memory of a case is shown to be larger by more",
        commands=_VERSIONS,
    )
    until_decided: bool = option(
        "",
        flag,
        "with two versions: measure on, 24 blocks at most, until each threshold (else 5 percent) "
        "is crossed or excluded",
        "",
        commands=_VERSIONS,
        flag=True,
    )
    resume: str | None = option(
        "RUN",
        str,
        f"continue an interrupted run: its id or a beginning of it (alone: {LATEST}); {AUTO}: the "
        "unfinished run of the same command, else begin one",
        commands=(*_VERSIONS, "profile", "validate"),
        bare=LATEST,
    )

    @property
    def protocol(self) -> Protocol:
        """How to measure: the effort's protocol with the user's steps and timeout."""
        return protocols.choose(self.effort, self.steps, self.timeout)

    @property
    def wanted_version(self) -> Wanted:
        """Which other version references are trained in."""
        return Wanted(self.reference_rev, self.reference_python, self.reference_env)

    @property
    def max_seconds(self) -> float | None:
        """Time limit of the run; None where there is none."""
        return None if self.max_minutes is None else 60 * self.max_minutes

    @property
    def memory_bytes(self) -> int | None:
        """Most memory of a worker in a search; None for what is free."""
        return None if self.memory_limit is None else round(self.memory_limit * 2**30)


OPTIONS: tuple[Option, ...] = tuple(
    dataclasses.replace(field.metadata["option"], name=field.name.replace("_", "-"))
    for field in dataclasses.fields(Settings)
    if field.metadata
)


def options_of(command: str) -> tuple[Option, ...]:
    """The options of a command; `suites` for pytest's."""
    return tuple(one for one in OPTIONS if command in one.commands)


Function = Callable[[argparse.Namespace], int]  # returns the exit code


def finish(parser: argparse.ArgumentParser, name: str, function: Function, **texts: str) -> None:
    """Add the options of a command and `--json`, and say which function does it.

    `texts` are help in place of an option's own, by its key.
    """
    for one in options_of(name):
        shown = {**one.arguments(), "help": texts.get(one.key, one.help)}
        default = None if one.several else one.default
        parser.add_argument(f"--{one.name}", **shown, default=default)
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else")
    parser.set_defaults(command=function)


def parse(
    given: Mapping[str, str | list[str] | bool | None],
    root: Path,
    gpu: AnyGpu,
    prefix: str = "--",
    **fixed: Any,
) -> Settings:
    """Check what a user gave.

    Args:
        given: Text by option name or key; None or absent means the default.
        root: What a relative output folder is relative to.
        gpu: Decides what devices `auto` are.
        prefix: Put before a name in messages.
        fixed: Fields that are no option of the command.

    Raises:
        HarnessError: a value that cannot be used; the text says which and why.
    """
    values = {
        one.key: named(
            f"{prefix}{one.name}",
            one.parse,
            "\n".join(text) if isinstance(text, list) else str(text),
        )
        for one in OPTIONS
        if (text := given.get(one.name) or given.get(one.key))
    }
    settings = Settings(**{**values, **fixed}, given=frozenset(values), prefix=prefix)
    demanded = "gpu" in settings.devices
    if demanded and gpu.name is None:
        raise BadCase(f"{prefix}devices: a GPU was named and there is none ({gpu.reason})")
    devices = settings.devices
    if devices == (AUTO,):
        devices = ("cpu",) if gpu.name is None else ("cpu", "gpu")
    output = root / settings.output
    return dataclasses.replace(settings, devices=devices, gpu_demanded=demanded, output=output)
