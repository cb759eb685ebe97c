"""Levers: settings other than the model and its batch size that may make training faster.

A lever is written `name=setting`; several that are moved at once are joined by `+`.
"""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import BadCase, UnknownName
from harness.records import Case
from harness.workloads import registry

_ALL = ("tensorflow", "jax", "torch")
_ENVIRONMENT = "env:"


@dataclass(frozen=True, slots=True)
class Lever:
    """What can be set otherwise.

    Attributes:
        name: As it is written.
        text: What it is.
        settings: Those that are tried, by backend; none where the backend does not have it.
        known: All that it can be set to; empty where that is open.
        field: The field of a case that holds it; None where it is one of its `levers`.
        only: The device that has it; empty for both.
        absent: Why a backend does not have it.
        asked: Whether it is moved only where it is asked for.
        changes: Whether it is meant to change what is learned: then it is in no stack.
    """

    name: str
    text: str
    settings: Mapping[str, Sequence[str]]
    known: tuple[str, ...] = ()
    field: str | None = None
    only: str = ""
    absent: Mapping[str, str] = dataclasses.field(default_factory=dict)
    asked: bool = False
    changes: bool = False


_MALLOCS = ("keep", "hugepages", "tcmalloc", "jemalloc")
_FEEDS = ("arrays", "slices", "cached", "device", "pydataset")

LEVERS = (
    Lever(
        "jit",
        "the step compiled: by XLA, with Torch by Inductor",
        {"tensorflow": ("on",), "jax": ("off",), "torch": ("on",)},
        ("on", "off"),
        field="jit",
    ),
    Lever(
        "precision",
        "Keras's dtype policy",
        dict.fromkeys(_ALL, ("mixed_bfloat16", "mixed_float16")),
        field="precision",
    ),
    Lever(
        "tf32",
        "whether float32 may be multiplied as TF32",
        {"tensorflow": ("off",), "jax": ("off",), "torch": ("on", "off")},
        ("on", "off"),
        only="gpu",
    ),
    Lever(
        "steps_per_execution",
        "steps that one call of the train function makes",
        {"tensorflow": ("4", "8"), "jax": ("4", "8")},
        absent={"torch": "with Torch Keras makes one step a call"},
    ),
    Lever(
        "threads",
        "CPU threads",
        dict.fromkeys(_ALL, ("half",)),
        field="threads",
        only="cpu",
    ),
    Lever(
        "inter_op",
        "threads that run operations side by side",
        {"tensorflow": ("1",), "torch": ("1",)},
        only="cpu",
        absent={"jax": "XLA has one pool of threads"},
    ),
    Lever(
        "onednn",
        "Intel's kernels for CPUs",
        {"tensorflow": ("off",), "torch": ("off",)},
        ("on", "off"),
        only="cpu",
        absent={"jax": "XLA's kernels for CPUs are its own"},
    ),
    Lever(
        "malloc",
        "the allocator of host memory: glibc's keeping what is freed, with huge pages, or another",
        dict.fromkeys(_ALL, _MALLOCS),
        _MALLOCS,
        only="cpu",
    ),
    Lever(
        "gpu_malloc",
        "the framework's allocator of GPU memory",
        {"tensorflow": ("async",), "jax": ("preallocate",), "torch": ("expandable",)},
        ("async", "preallocate", "expandable"),
        only="gpu",
    ),
    Lever(
        "feed",
        "how fit gets its batches: arrays; tf.data from slices; batched, cached and prefetched; "
        "resident on the device; a PyDataset",
        {
            "tensorflow": ("slices", "cached", "device", "pydataset"),
            "jax": ("device", "pydataset"),
            "torch": ("device", "pydataset"),
        },
        _FEEDS,
    ),
    Lever(
        "optimizer",
        "another optimizer",
        dict.fromkeys(_ALL, ("sgd", "adam")),
        field="optimizer",
        changes=True,
    ),
    Lever("variant", "another variant of the same", {}, field="variant", asked=True),
    Lever("env:NAME", "an environment variable of the worker's process", {}, asked=True),
)
_BY_NAME = {lever.name: lever for lever in LEVERS}


def find(name: str) -> Lever:
    """The lever of that name.

    Raises:
        UnknownName: no such lever; the text says what is near.
    """
    if name.startswith(_ENVIRONMENT) and name != _ENVIRONMENT:
        return dataclasses.replace(_BY_NAME["env:NAME"], name=name)
    if name not in _BY_NAME:
        near = difflib.get_close_matches(name, _BY_NAME, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_BY_NAME)}"
        raise UnknownName(f"no lever {name!r}; {hint}")
    return _BY_NAME[name]


def tried(backend: str) -> list[str]:
    """List what is tried where nothing else is asked for, and what a backend does not have."""
    found = []
    for lever in LEVERS:
        if lever.asked:
            continue
        settings = lever.settings.get(backend, ())
        found += [f"{lever.name}={setting}" for setting in settings] or [lever.name]
    return found


def parts(text: str) -> list[tuple[Lever, str]]:
    """Read `name=setting`, several joined by `+`; a name alone has no setting.

    Raises:
        UnknownName: no such lever.
        BadCase: a setting that it cannot have.
    """
    found = []
    for part in text.split("+"):
        name, _, setting = part.strip().partition("=")
        lever = find(name)
        if setting and lever.known and setting not in lever.known:
            raise BadCase(f"lever {name}: no {setting!r}; known: {', '.join(lever.known)}")
        if name in {"steps_per_execution", "inter_op"} and setting and not _counts(setting):
            raise BadCase(f"lever {name}: {setting!r} is not a whole number from 1")
        if name == "threads" and setting and setting != "half" and not _counts(setting):
            raise BadCase(f"lever threads: {setting!r} is neither half nor a whole number from 1")
        found.append((lever, setting))
    return found


def _counts(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def check(text: str) -> None:
    """Refuse a lever that does not exist or is not set to anything.

    Raises:
        HarnessError: it cannot be moved.
    """
    for lever, setting in parts(text):
        if not setting:
            raise BadCase(f"lever {lever.name}: say what to set it to: {lever.name}=…")
        if lever.name == "variant":
            registry.check(setting)


def pull(case: Case, text: str) -> Case:
    """The case with levers moved; what has a setting already gets the new one.

    Raises:
        HarnessError: no such lever or setting.
    """
    for lever, setting in parts(text):
        if not setting:
            continue
        if lever.field is not None:
            value: Any = _value(case, lever.name, setting)
            case = dataclasses.replace(case, **{lever.field: value})
        else:
            others = [one for one in case.levers if not one.startswith(f"{lever.name}=")]
            case = dataclasses.replace(
                case, levers=tuple(sorted([*others, f"{lever.name}={setting}"]))
            )
    return case


def _value(case: Case, name: str, setting: str) -> object:
    if name == "jit":
        return setting == "on"
    if name == "threads":
        return max(1, case.threads // 2) if setting == "half" else int(setting)
    return setting


def environment(case: Case) -> dict[str, str]:
    """The environment variables that levers set by their own names."""
    own = (text.removeprefix(_ENVIRONMENT) for text in case.levers if text.startswith(_ENVIRONMENT))
    return dict(text.split("=", 1) for text in own)


def names(text: str) -> set[str]:
    """The levers that are moved."""
    return {lever.name for lever, _ in parts(text)}


def changes(text: str) -> bool:
    """Whether it is meant to change what is learned."""
    return any(lever.changes for lever, _ in parts(text))


def lacking(text: str, case: Case) -> str | None:
    """Say why a case's backend or device does not have it; None when it has."""
    for lever, setting in parts(text):
        absent = lever.absent.get(case.backend)
        if absent is not None:
            return absent
        if lever.only and lever.only != case.device:
            where = "GPUs" if lever.only == "gpu" else "CPUs"
            return f"a lever of {where}"
        if lever.name == "feed" and setting not in ("arrays", *lever.settings[case.backend]):
            return f"tf.data would bring TensorFlow into the worker of {case.backend}"
    if (case.device, pull(case, text).precision) == ("cpu", "mixed_float16"):
        return "float16 is for GPUs: CPUs compute it far slower than float32, if at all"
    if pull(case, text) == case:
        return "that is how it is already"
    return None
