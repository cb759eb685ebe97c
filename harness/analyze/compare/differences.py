"""Find what differs between two runs besides their times."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from harness import units
from harness.analyze.compare.case_matching import Matching
from harness.errors import BadComparison
from harness.records import Case, Machine, Measurement, ModelFacts, Run


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """A recorded fact that differs between two runs; a value is None where it is missing."""

    what: str
    reference: str | None
    other: str | None
    moves_all: bool = False  # the time of every case, so that no pair can show the change


def check_comparable(reference: Run, other: Run) -> None:
    """Raise BadComparison for runs of different protocol versions."""
    here, there = reference.protocol.version, other.protocol.version
    if here != there:
        raise BadComparison(
            f"{reference.id} was measured by protocol version {here} and {other.id} by {there}: "
            "their times do not mean the same; measure one run again"
        )


def between(reference: Run, other: Run, matching: Matching) -> tuple[Difference, ...]:
    """List what differs: machine, libraries, protocol, data, models."""
    facts = (
        *_machine(reference.machine, other.machine),
        *_libraries(reference, other),
        *_protocol(reference, other),
        *_cases(reference, other, matching),
        *_models(reference, other, matching),
    )
    return tuple(fact for fact in dict.fromkeys(facts) if fact.reference != fact.other)


_SEPARATE = {"id", "libraries", "gpu_facts", "gpu_reason", "withheld"}
# A commit does not change the time of every case: it changes models, one by one.
_SLIGHT = {"commit", "memory_bytes", "memory_limit_bytes"}


def _machine(here: Machine, there: Machine) -> Iterator[Difference]:
    for field in dataclasses.fields(Machine):
        if field.name not in _SEPARATE:
            one, two = (_plain(getattr(its, field.name), field.name) for its in (here, there))
            yield Difference(field.name, one, two, field.name not in _SLIGHT)
    for name in ("driver", "cuda", "memory_bytes"):
        one, two = (_plain(getattr(m.gpu_facts, name, None), name) for m in (here, there))
        yield Difference(f"gpu_{name}", one, two, name == "driver")


def _libraries(reference: Run, other: Run) -> Iterator[Difference]:
    here, there = reference.machine.libraries, other.machine.libraries
    backends = {case.backend for run in (reference, other) for case in _sides(run)}
    used = ("keras", *backends)  # and names that begin so: jaxlib belongs to jax
    for name in dict.fromkeys([*here, *there]):
        # A library that one run lacks trained none of the common cases.
        moves_all = name.startswith(used) and name in here and name in there
        yield Difference(name, here.get(name), there.get(name), moves_all)


_SECONDS = ("block_seconds", "round_seconds", "gpu_round_seconds", "warm_up_seconds")
_PROTOCOL = ("effort", "blocks", *_SECONDS, "steps")


def _protocol(reference: Run, other: Run) -> Iterator[Difference]:
    for name in _PROTOCOL:
        here, there = (_plain(getattr(run.protocol, name)) for run in (reference, other))
        what = "steps per round" if name == "steps" else name
        yield Difference(what, here or "chosen", there or "chosen")


def _cases(reference: Run, other: Run, matching: Matching) -> Iterator[Difference]:
    for what in ("dataset", "backend", "device"):
        here, there = (
            list(dict.fromkeys(getattr(matching.match(case, run), what) for case in _sides(run)))
            for run in (reference, other)
        )
        if set(here) != set(there):
            one, two = (", ".join(names) or None for names in (here, there))
            yield Difference(f"{what}s measured", one, two)


_FACTS = ("parameters", "macs_per_sample", "optimizer", "train_samples", "jit", "float32_math")


def _models(reference: Run, other: Run, matching: Matching) -> Iterator[Difference]:
    here, there = (_facts(run, matching) for run in (reference, other))
    for case in here:
        for name in _FACTS if case in there else ():
            one, two = (_plain(getattr(its[case], name)) for its in (here, there))
            yield Difference(f"{case.variant}: {name}", one, two)


def _facts(run: Run, matching: Matching) -> Mapping[Case, ModelFacts]:
    found: dict[Case, ModelFacts] = {}
    for outcome in run.outcomes:
        if isinstance(outcome, Measurement):
            found[matching.match(outcome.reference, run)] = outcome.reference_facts
            found[matching.match(outcome.case, run)] = outcome.facts
    return found


def _sides(run: Run) -> Iterator[Case]:
    for outcome in run.outcomes:
        if isinstance(outcome, Measurement):
            yield outcome.case
            yield outcome.reference


def _plain(value: Any, name: str = "") -> str | None:
    if value is None:
        return None
    return units.mebibytes(value) if name.endswith("_bytes") else str(value)
