"""Levers of a case: parse `name=setting`, several joined by `+`; apply; say what is unavailable."""

import ctypes.util
import dataclasses
import platform
from pathlib import Path
from typing import Any

from harness.errors import BadCase, UnknownName, similar
from harness.records import Case
from harness.records.lever_declarations import FEED, LEVERS, OF_PIPELINES, PIPELINE_FEEDS, Lever
from harness.workloads import registry

_ENVIRONMENT = "env:"
_HUGE_PAGES_SINCE = (2, 35)  # of glibc, whose manual calls it glibc.malloc.hugetlb
# Instructions for bfloat16 as Linux names them: https://docs.kernel.org/arch/x86/cpuinfo.html
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
_BY_NAME = {lever.name: lever for lever in LEVERS}


def find(name: str) -> Lever:
    """The lever of that name; `UnknownName` has a similar one."""
    if name.startswith(_ENVIRONMENT) and name != _ENVIRONMENT:
        return dataclasses.replace(_BY_NAME["env:NAME"], name=name)
    if name not in _BY_NAME:
        raise UnknownName(f"no lever {name!r}; {similar(name, _BY_NAME)}")
    return _BY_NAME[name]


def tried(backend: str, pipeline: str = "") -> list[str]:
    """The settings tried by default; a name alone for a lever that a backend lacks.

    Data that comes from a pipeline, of a kind of `PIPELINE_FEEDS`, is fed in other ways.
    """
    found = []
    for lever in LEVERS:
        if not lever.asked:
            settings = lever.tried.get(backend, ())
            if lever is FEED and pipeline:
                settings = PIPELINE_FEEDS[pipeline]
            found += [f"{lever.name}={setting}" for setting in settings] or [lever.name]
    return found


def parts(text: str) -> list[tuple[Lever, str]]:
    """Parse `name=setting`, several joined by `+`; a name alone has no setting.

    `UnknownName` if there is no such lever, `BadCase` if there is no such setting.
    """
    found = []
    for part in text.split("+"):
        name, _, setting = part.strip().partition("=")
        lever = find(name)
        if setting and lever.known and setting not in lever.known:
            raise BadCase(f"lever {name}: no {setting!r}; known: {', '.join(lever.known)}")
        wrong = setting and not (setting.isdecimal() and int(setting))
        if wrong and name in {"steps_per_execution", "inter_op"}:
            raise BadCase(f"lever {name}: {setting!r} is not a whole number from 1")
        if wrong and name == "threads" and setting != "half":
            raise BadCase(f"lever threads: {setting!r} is neither half nor a whole number from 1")
        found.append((lever, setting))
    return found


def check(text: str) -> None:
    """Raise a `HarnessError` for an unknown lever, or one without a setting."""
    for lever, setting in parts(text):
        if not setting:
            raise BadCase(f"lever {lever.name}: the setting is missing: {lever.name}=…")
        if lever.name == "variant":
            registry.check(setting)


def change(case: Case, text: str) -> Case:
    """The case with other settings; one that it has already is replaced."""
    for lever, setting in parts(text):
        if setting and lever.field is not None:
            case = dataclasses.replace(case, **{lever.field: _value(case, lever.name, setting)})
        elif setting:
            others = [one for one in case.levers if not one.startswith(f"{lever.name}=")]
            settings = tuple(sorted([*others, f"{lever.name}={setting}"]))
            case = dataclasses.replace(case, levers=settings)
    return case


def _value(case: Case, name: str, setting: str) -> Any:
    if name == "jit":
        return setting == "on"
    if name == "threads":
        return max(1, case.threads // 2) if setting == "half" else int(setting)
    return setting


def environment(case: Case) -> dict[str, str]:
    """Variables that must be set before a worker's Python starts; empty for most cases."""
    own = (text.removeprefix(_ENVIRONMENT) for text in case.levers if text.startswith(_ENVIRONMENT))
    found = dict(text.split("=", 1) for text in own)
    for lever in LEVERS:
        setting = lever.setting(case)
        found |= lever.environment.get(case.backend, {}).get(setting, {})
        if setting in lever.libraries:
            found["LD_PRELOAD"] = _library(lever.libraries[setting]) or ""
    return found


def _library(names: tuple[str, ...]) -> str | None:
    """The file of a library that is installed."""
    return next(filter(None, map(ctypes.util.find_library, names[1:])), None)


def names(text: str) -> set[str]:
    """The levers in a text."""
    return {lever.name for lever, _ in parts(text)}


def changes_learning(text: str) -> bool:
    """Whether a setting is meant to change what is learned."""
    return any(lever.changes for lever, _ in parts(text))


def unavailable(text: str, case: Case) -> str | None:
    """Return why a case cannot have a setting here; None if it can."""
    for lever, setting in parts(text):
        if case.backend in lever.absent:
            return lever.absent[case.backend]
        if lever.only and lever.only != case.device:
            return f"only on {lever.only.upper()}s"
        anywhere = ("arrays", *OF_PIPELINES)
        if lever is FEED and setting not in (*anywhere, *lever.tried[case.backend]):
            return f"tf.data would bring TensorFlow into the worker of {case.backend}"
    changed = change(case, text)
    if (case.device, changed.precision) == ("cpu", "mixed_float16"):
        return "float16 is for GPUs: CPUs compute it far slower than float32, if at all"
    if changed == case:
        return "the case has this setting already"
    return _no_allocator(changed)


def _no_allocator(case: Case) -> str | None:
    """Return why this machine lacks the allocator of a case."""
    for lever in LEVERS:
        library = lever.libraries.get(lever.setting(case))
        if library is not None and _library(library) is None:
            return f"{lever.setting(case)} is not installed: apt install {library[0]}"
    malloc = case.setting("malloc")
    name, version = platform.libc_ver()
    if malloc in ("keep", "hugepages") and name != "glibc":
        return "a setting of glibc's allocator, which this system does not use"
    if malloc == "hugepages" and tuple(map(int, version.split("."))) < _HUGE_PAGES_SINCE:
        return f"glibc {version} is older than 2.35"
    return None


def note(text: str, case: Case) -> str:
    """What this machine adds to a setting: its instructions for bfloat16; mostly empty."""
    precision = change(case, text).precision
    if case.device != "cpu" or "bfloat16" not in precision or precision == case.precision:
        return ""
    if has := sorted(_BFLOAT16 & _cpu_flags()):
        return f"the CPU has instructions for bfloat16 ({', '.join(has)})"
    return "the CPU has no instructions for bfloat16"


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    flags = (line.split(":", 1)[1] for line in lines if line.startswith(("flags", "Features")))
    return set(next(flags, "").split())
