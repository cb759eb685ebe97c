"""Which case of one run is which case of another, measured elsewhere."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.records import Case, Run

ALL_THREADS = 0  # of a matched case: as many as its machine lets it use


@dataclasses.dataclass(frozen=True, slots=True)
class Matching:
    """Gives cases of several runs the same name where they are the same training.

    Attributes:
        ambiguous: Names of files that stand for several in one run; these match by their
            whole path.
    """

    ambiguous: frozenset[str]

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Matching":
        """Read which names of files are unique within each of the runs."""
        ambiguous = set()
        for run in runs:
            longs: dict[str, set[str]] = defaultdict(set)
            for case in cases(run):
                for name in (case.variant, case.dataset):
                    longs[short(name)].add(name)
            ambiguous |= {bare for bare, names in longs.items() if len(names) > 1}
        return cls(frozenset(ambiguous))

    def match(self, case: Case, run: Run) -> Case:
        """The case as it is named in all runs: without folders, all threads as `ALL_THREADS`."""
        return dataclasses.replace(
            case,
            variant=self._name(case.variant),
            dataset=self._name(case.dataset),
            threads=ALL_THREADS if case.threads == run.machine.usable_cpus else case.threads,
        )

    def _name(self, name: str) -> str:
        bare = short(name)
        return name if bare in self.ambiguous else bare


def cases(run: Run) -> Iterator[Case]:
    """Every case and reference of a run, as often as it stands there."""
    for outcome in run.outcomes:
        yield outcome.case
        yield outcome.reference


def names(matched: Iterable[Case]) -> dict[Case, str]:
    """Name matched cases by model, batch size and what else they differ in.

    What a case has by default is told of the others only.
    """
    found = list(matched)
    told = {name: {getattr(case, name) for case in found} for name in _WORDS}
    varied = [name for name, values in told.items() if len(values) > 1]
    return {case: ", ".join(filter(None, _words(case, varied))) for case in found}


def _words(case: Case, varied: Iterable[str]) -> Iterator[str]:
    yield f"{case.variant} {case.batch_size}"
    for name in varied:
        value = getattr(case, name)
        if value != _DEFAULTS.get(name):
            words = " + ".join(value) if name == "levers" else value
            yield _WORDS[name].format(words).replace("on 1 threads", "on 1 thread")


_WORDS = {
    "dataset": "{}",
    "backend": "{}",
    "device": "{}",
    "threads": "on {} threads",
    "optimizer": "{}",
    "loss": "{}",
    "input_shape": "{}",
    "precision": "{}",
    "jit": "jit",
    "seed": "seed {}",
    "levers": "{}",
    "replicas": "on {} devices",
    "hosts": "of {} hosts",
}
_DEFAULTS = {
    "threads": ALL_THREADS,
    "optimizer": None,
    "loss": None,
    "input_shape": None,
    "precision": "float32",
    "jit": False,
    "seed": 0,
    "levers": (),
    "replicas": 1,
    "hosts": 1,
}


def short(name: str) -> str:
    """A model's file with its function, or a dataset's file, without its folder."""
    source, colon, function = name.rpartition(":")
    if source.endswith(".py"):
        return f"{Path(source).name}{colon}{function}"
    return Path(name).name if name.endswith(".npz") else name
