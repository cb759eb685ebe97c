"""Match cases of runs from different machines, and name them."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.records import Case, Run

ALL_THREADS = 0  # threads of a matched case that uses all CPUs of its machine


@dataclasses.dataclass(frozen=True, slots=True)
class Matching:
    """Maps a case of any of several runs to the case that stands for it in all of them."""

    ambiguous: frozenset[str]  # file names that several files of a run share: whole paths match

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Matching":
        """Find the file names that are not unique within one of the runs."""
        ambiguous = set()
        for run in runs:
            paths: dict[str, set[str]] = defaultdict(set)
            for case in cases(run):
                for name in (case.variant, case.dataset):
                    paths[short(name)].add(name)
            ambiguous |= {name for name, several in paths.items() if len(several) > 1}
        return cls(frozenset(ambiguous))

    def match(self, case: Case, run: Run) -> Case:
        """Return the case without folders, and with all threads as `ALL_THREADS`."""
        return dataclasses.replace(
            case,
            variant=self._name(case.variant),
            dataset=self._name(case.dataset),
            threads=ALL_THREADS if case.threads == run.machine.usable_cpus else case.threads,
        )

    def _name(self, name: str) -> str:
        return name if short(name) in self.ambiguous else short(name)


def cases(run: Run) -> Iterator[Case]:
    """Yield case and reference of every outcome; a case may come several times."""
    for outcome in run.outcomes:
        yield outcome.case
        yield outcome.reference


def names(matched: Iterable[Case]) -> dict[Case, str]:
    """Name matched cases by model, batch size and the fields in which they differ."""
    found = list(matched)
    fields = differing(found)
    parts = {c: (f"{c.variant} {c.batch_size}", *words(c, fields)) for c in found}
    return {case: ", ".join(its) for case, its in parts.items()}


def differing(found: Sequence[Case]) -> list[str]:
    """List the fields, besides model and batch size, in which cases differ."""
    names = [f.name for f in dataclasses.fields(Case) if f.name not in ("variant", "batch_size")]
    return [name for name in names if len({getattr(case, name) for case in found}) > 1]


def words(case: Case, fields: Iterable[str]) -> list[str]:
    """Write those of the fields of a matched case that do not have their default."""
    return [case.words(name) for name in fields if getattr(case, name) != _USUAL[name]]


_ALWAYS_TOLD = {"dataset": None, "backend": None, "device": None}
_USUAL = {f.name: f.default for f in dataclasses.fields(Case)}
_USUAL |= {"threads": ALL_THREADS, **_ALWAYS_TOLD}


def short(name: str) -> str:
    """Return a model's file and function, or a dataset's file, without the folder."""
    source, colon, function = name.rpartition(":")
    if source.endswith(".py"):
        return f"{Path(source).name}{colon}{function}"
    return Path(name).name if name.endswith(".npz") else name
