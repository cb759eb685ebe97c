"""Choose batch size, device and threads for each variant of a run, or say why none is chosen."""

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analyze import cautions, stats, verdicts
from harness.analyze.advice.knee import Ratios, knee
from harness.analyze.analysis import Analysis
from harness.analyze.cases import quotient
from harness.analyze.compare import case_matching
from harness.analyze.once import once
from harness.analyze.training import groups, target
from harness.records import Case, Estimate, Failure, Measurement, Outcome

_COMPARE = {
    "batch_size": "measure several batch sizes",
    "device": "measure both devices",
    "threads": "measure several numbers of threads: pytest suites/test_threads.py",
}
MORE_SIZES = _COMPARE["batch_size"]
_ALONE = "the only one measured"
_NOT_COMPARED = "they were not compared with each other"
_MORE_EPOCHS = "a larger batch may need more epochs to the same accuracy"
EPOCHS_REMARK = f"{_MORE_EPOCHS}; measure with pytest suites/ -m convergence"
RANDOM_REMARK = f"{_MORE_EPOCHS}; random data cannot show that"
_AXES = ("batch_size", "device", "threads")


@dataclass(frozen=True, slots=True)
class Rival:
    """A value that was not chosen, with its throughput over that of the best value."""

    value: int | str
    throughput: Estimate


@dataclass(frozen=True, slots=True)
class Choice:
    """One question, along one of `_AXES`, and its answer.

    Memory is on a CPU resident memory without that of the import, on a GPU the framework's own.
    """

    axis: str
    value: int | str | None  # the recommended value; None where the run does not support an answer
    best: int | str | None  # has the highest throughput, or is the other device
    measured: tuple[int | str, ...]  # all measured values, sorted
    case: Case  # the compared case of `value`, or of `best` without a value
    throughput: Estimate | None = None  # of `value` over that of `best`
    next_smaller: Rival | None = None
    memory_share: float | None = None  # peak memory of `value` over that of `best`
    undecided: tuple[Rival, ...] = ()  # other values that may also be within 5 % of the best
    reason: str = ""  # why there is no answer
    todo: str = ""  # what to do about that

    @property
    def asked(self) -> bool:
        """Whether there was a choice."""
        return len(self.measured) > 1


@dataclass(frozen=True, slots=True)
class Advice:
    """The advice on one variant with one dataset, backend, optimizer and precision."""

    variant: str
    case: Case | None  # the case to train; None when nothing was measured
    choices: tuple[Choice, ...]  # batch size and threads for each device, and the device
    failed: tuple[str, ...] = ()  # batch size and reason of each failed case
    remark: str = ""  # what throughput does not show

    @property
    def asked(self) -> tuple[Choice, ...]:
        """The choices between at least two values."""
        return tuple(choice for choice in self.choices if choice.asked)

    @property
    def recommended(self) -> bool:
        """Whether every choice has an answer."""
        return bool(self.asked) and all(choice.value is not None for choice in self.asked)


@once
def advise(analysis: Analysis) -> list[Advice]:
    """Advise on each variant, dataset, backend, optimizer and precision of a run.

    Batch size and threads are chosen by `knee`, the device by its paired comparison.
    """
    auxiliary = analysis.roles.auxiliary
    groups: dict[Case, dict[Case, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for outcome in analysis.run.outcomes:
        for case in {outcome.case: None, outcome.reference: None}:
            if case not in auxiliary:
                groups[_alike(case)][case].append(outcome)
    advices = [_Group(analysis, cases).advice() for cases in groups.values()]
    return [advice for advice in advices if advice.case or advice.failed]


def _alike(case: Case) -> Case:
    return dataclasses.replace(case, batch_size=0, device="", threads=0)


class _Group:
    """Cases that differ only in batch size, device and threads."""

    def __init__(self, analysis: Analysis, cases: Mapping[Case, Sequence[Outcome]]) -> None:
        self._analysis, self._run = analysis, analysis.run
        self._speedups = analysis.speedups
        self._cases = [case for case in cases if case in analysis.observed]
        own = [o for case, its in cases.items() for o in its if o.case == case]
        self._measurements = [
            o
            for o in own
            if isinstance(o, Measurement) and o.reference in cases and o.ended != "screened"
        ]
        self._variant = next(iter(cases)).variant
        self._failures = [o for o in own if isinstance(o, Failure)]

    def advice(self) -> Advice:
        failed = tuple(
            f"batch {f.case.batch_size} on the {f.case.device.upper()}: {f.kind}: {f.message}"
            for f in self._failures
        )
        if not self._cases:
            return Advice(self._variant, None, (), failed)
        devices = sorted({case.device for case in self._cases})
        found = {device: self._on(device) for device in devices}
        device = self._device({device: case for device, (case, _) in found.items()})
        chosen = str(device.value or self._fastest(case for case, _ in found.values()).device)
        choices = [choice for _, its in found.values() for choice in its]
        return Advice(
            variant=self._variant,
            case=found[chosen][0],
            choices=tuple(sorted([*choices, device], key=lambda c: _AXES.index(c.axis))),
            failed=failed,
            remark=_epochs_remark(self._analysis, self._cases),
        )

    def _on(self, device: str) -> tuple[Case, list[Choice]]:
        """Choose batch size and threads on a device; return the case to train and both choices."""
        here = [case for case in self._cases if case.device == device]
        threads = self._sweep("threads", self._widest("threads", here))
        by_size = self._widest("batch_size", here)
        if threads.value is not None:
            with_threads = [case for case in here if case.threads == threads.value]
            if len(with_threads) > 1 or len(by_size) == 1:
                by_size = with_threads
        sizes = self._sweep("batch_size", by_size)
        return sizes.case, [sizes, threads]

    def _widest(self, axis: str, cases: Sequence[Case]) -> list[Case]:
        """Return the largest group of cases that differ only along an axis."""
        groups: dict[Case, list[Case]] = defaultdict(list)
        for case in cases:
            any_value: dict[str, Any] = {axis: type(getattr(case, axis))()}
            groups[dataclasses.replace(case, **any_value)].append(case)
        return max(groups.values(), key=lambda group: (len(group), -self._sample_seconds(group)))

    def _sample_seconds(self, cases: Iterable[Case]) -> float:
        observed = self._analysis.observed
        return min(observed[case].step.value / case.batch_size for case in cases)

    def _fastest(self, cases: Iterable[Case]) -> Case:
        return min(cases, key=lambda case: self._sample_seconds([case]))

    def _sweep(self, axis: str, cases: Sequence[Case]) -> Choice:
        """Choose among cases that differ only along an axis."""
        known = {getattr(case, axis): case for case in cases}
        choice = Choice(axis, None, None, tuple(sorted(known)), self._fastest(cases))
        ratios = Ratios(axis, [m for m in self._measurements if m.case in cases], self._speedups)
        found = knee(ratios) if ratios.compared else None
        if found:
            choice = dataclasses.replace(choice, best=found.best, case=known[found.best])
        reason, todo = self._refusal(choice, ratios.compared)
        if found is None or reason:
            return dataclasses.replace(choice, reason=reason, todo=todo)
        undecided = tuple(Rival(value, found.over_best[value]) for value in found.undecided)
        choice = dataclasses.replace(choice, undecided=undecided)
        if found.value is None:
            wide = "the intervals are too wide"
            return dataclasses.replace(choice, reason=wide, todo=self._narrower())
        smaller = max((v for v in found.over_best if v < found.value), default=None)
        memory, best_memory = (self._memory(known[v]) for v in (found.value, found.best))
        return dataclasses.replace(
            choice,
            value=found.value,
            case=known[found.value],
            throughput=found.over_best.get(found.value),
            next_smaller=None if smaller is None else Rival(smaller, found.over_best[smaller]),
            memory_share=quotient(memory, best_memory),
        )

    def _device(self, found: Mapping[str, Case]) -> Choice:
        """Choose the device by a paired comparison, if possible at the GPU's batch size."""
        only = next(iter(found.values()))
        choice, wanted = Choice("device", None, None, tuple(found), only), found.get("gpu", only)
        m = max(
            Ratios("device", self._measurements, self._speedups).compared,
            key=lambda m: (m.case.batch_size == wanted.batch_size, m.case.batch_size),
            default=None,
        )
        if m:
            choice = dataclasses.replace(choice, case=m.case)
        reason, todo = self._refusal(choice, [m] if m else [])
        if m is None or reason:
            return dataclasses.replace(choice, reason=reason, todo=todo)
        ratios = Ratios("device", [m], self._speedups)
        for device, other in (("gpu", "cpu"), ("cpu", "gpu")):
            faster = ratios.over(device, other)
            if verdicts.verdict(faster) == "faster":
                return dataclasses.replace(choice, value=device, best=other, throughput=faster)
        if verdicts.verdict(ratios.over("gpu", "cpu")) == "same":
            same = f"both are the same within {100 * verdicts.MARGIN:g} %"
            return dataclasses.replace(choice, reason=same)
        return dataclasses.replace(choice, reason="undecided", todo=self._narrower())

    def _narrower(self) -> str:
        """Say what gives narrower intervals."""
        if self._run.protocol.effort == "thorough":
            return "measure again when the machine is quieter"
        return "measure at thorough effort"

    def _refusal(self, choice: Choice, compared: Sequence[Measurement]) -> tuple[str, str]:
        """Return why comparisons cannot decide, and what to do; both empty where they can."""
        if not compared:
            return _NOT_COMPARED if choice.asked else _ALONE, _COMPARE[choice.axis]
        if self._run.protocol.effort == "quick":
            return "quick effort has no intervals", "measure at default effort"
        if any(stats.speedup(m).low is None for m in compared):
            few = "no interval: a comparison has fewer than three blocks"
            return few, "measure at default effort, with more minutes"
        sides = {case for m in compared for case in (m.case, m.reference)}
        itself = [m for m in self._measurements if m.case == m.reference and m.case in sides]
        doubts = [doubt for m in compared for doubt in cautions.disturbances(m)]
        doubts += [doubt for m in itself for doubt in self._analysis.roles.noise_floor(m)]
        if not doubts:
            return "", ""
        return f"disturbed: {doubts[0].doubt} ({doubts[0].figure})", doubts[0].advice

    def _memory(self, case: Case) -> float | None:
        data = self._analysis.observed[case]
        if case.device == "gpu":
            return data.gpu_memory_mib
        peak, imported = (data.largest_mib(f"{when}_rss_bytes") for when in ("peak", "import"))
        return None if peak is None or imported is None else peak - imported


def _epochs_remark(analysis: Analysis, cases: Sequence[Case]) -> str:
    """Say how many epochs each batch size needs, or how to measure that."""
    if len({case.batch_size for case in cases}) < 2:
        return ""
    needed = dict(_epochs_needed(analysis, _alike(cases[0])))
    if len(needed) < 2:
        return RANDOM_REMARK if cases[0].dataset == cautions.RANDOM_DATA else EPOCHS_REMARK
    parts = [f"batch {size} {words}" for size, words in sorted(needed.items())]
    return f"epochs to test accuracy {analysis.run.target_accuracy:g}: {', '.join(parts)}"


def _epochs_needed(analysis: Analysis, alike: Case) -> Iterator[tuple[int, str]]:
    """Yield batch sizes and, in words, the mean epochs to the target accuracy."""
    if analysis.run.target_accuracy is None:
        return
    for group in groups.groups(analysis):
        case = group[0].recipe.case
        if dataclasses.replace(_alike(case), seed=alike.seed) != alike:
            continue
        needed = [target.reached(training, analysis.run.target_accuracy) for training in group]
        known = [number for number in needed if number is not None]
        if len(known) < len(needed):
            yield case.batch_size, f"not reached by {len(needed) - len(known)} of {len(needed)}"
        else:
            seeds = f"{len(needed)} seed{'s' if len(needed) > 1 else ''}"
            yield case.batch_size, f"{statistics.fmean(known):.1f} ({seeds})"


def differing(advices: Sequence[Advice]) -> list[str]:
    """List the fields that tell advices on one variant apart; `jit` goes with the backend."""
    variants: dict[str, list[Case]] = defaultdict(list)
    for advice in advices:
        if advice.case is not None:
            variants[advice.case.variant].append(_alike(advice.case))
    fields = dict.fromkeys(f for its in variants.values() for f in case_matching.differing(its))
    return [name for name in fields if name != "jit" or len(fields) == 1]
