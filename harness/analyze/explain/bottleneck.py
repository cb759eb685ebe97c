"""What decides the time of a case: input, fixed cost, memory, arithmetic, or something else.

Four shares of a step's time, each with an interval; a bound is shown where the whole interval lies
at or above the threshold. Memory and arithmetic are the two roofs of a roofline (Williams,
Waterman and Patterson 2009, "Roofline: an insightful visual performance model for multicore
architectures"): the bytes that a step moves at least over the rate of a copy, the operations that
a step computes at most over the rate of a matrix product, both rates measured on the machine.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness import units
from harness.analyze import cautions, rounds, stats
from harness.analyze.analysis import Analysis
from harness.analyze.cases import CaseData
from harness.analyze.explain import batch_law, work
from harness.analyze.rounds import Worker
from harness.analyze.training import epochs
from harness.records import Case, Estimate, ModelFacts

NOT_SHOWN = "not shown"
THROTTLED = "throttled"
DISTURBED = "disturbed"


@dataclass(frozen=True, slots=True)
class Bound:
    """One thing that may decide the time, and what to try next."""

    verdict: str
    share: str  # name of a share of the time of a step
    threshold: float  # the share from which on the bound decides
    evidence: str  # a sentence with a place for the share
    advice: str


# The first that is shown, after throttling, is the verdict.
BOUNDS = (
    # `fit` prepares batches while steps run: only input that is not hidden takes time. Callbacks
    # cost some percent even where no step waits; a fifth is more than callbacks cost.
    Bound(
        "input-bound",
        "input_share",
        0.2,
        "fit adds {} to its steps",
        "prefetch batches, cache what is prepared, use more threads or workers; tune tries these "
        "on a pipeline",
    ),
    # From half on, no other change can bring more than removing the fixed cost.
    Bound(
        "overhead-bound",
        "overhead_share",
        0.5,
        "the overhead is {} of a step",
        "a larger batch, a compiled step (jit), fewer and larger layers",
    ),
    # Before arithmetic: memory is a lower bound, arithmetic an upper bound.
    Bound(
        "memory-bound",
        "memory_share",
        0.5,
        "what a step at least moves takes {} of it at the rate of a copy",
        "smaller activations, a lower precision, a compiled step (jit), which keeps less of them",
    ),
    # Large convolutions reach 60 to 80 % of a matrix product: from half on little else is left.
    Bound(
        "compute-bound",
        "compute_share",
        0.5,
        "the arithmetic takes at most {} of a step at the rate of a matrix product",
        "less arithmetic (kernels, channels, sizes of images), a lower precision, a faster device",
    ),
)
ORDER = (THROTTLED, *(bound.verdict for bound in BOUNDS), DISTURBED)
_HIGHER_EFFORT = "a higher effort: three blocks or more, and not quick"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing of `ORDER` that is shown to take time, and what to try next."""

    verdict: str
    evidence: str
    advice: str


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the time of a step, or why it is not known."""

    estimate: Estimate | None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What decides the time of a case."""

    data: CaseData
    findings: tuple[Finding, ...]  # all that is shown, in `ORDER`
    advice: str  # what to try, or what to measure where nothing is shown
    shares: Mapping[str, Share]  # by the name of `Bound.share`
    step_bytes: float | None  # a lower bound
    copy_rate: float | None  # bytes per second
    step_flop: float | None  # an upper bound
    product_rate: float | None  # FLOP per second

    @property
    def verdict(self) -> str:
        """The first finding."""
        return self.findings[0].verdict if self.findings else NOT_SHOWN


def bottlenecks(analysis: Analysis) -> Iterator[Bottleneck]:
    """Judge each measured case.

    A disturbance comes last: a disturbance is a doubt about the numbers, and a verdict only where
    there is no other.
    """
    rate_of_copies, rate_of_products = (
        {where: stats.mean(logs) for where, logs in work.rates(analysis.cases, name).items()}
        for name in ("copy_bytes_per_second", "product_flops")
    )
    blocks, overhead = rounds.workers_of(analysis.roles.measured), _overheads(analysis)
    unfitted = Share(None, "the model of a fixed cost per step needs three batch sizes")
    judged = analysis.run.protocol.effort != "quick"
    for data in analysis.cases:
        moved, computed = step_bytes(data.facts, data.case.batch_size), _step_flop(data)
        where = data.case.platform
        copies, products = rate_of_copies.get(where), rate_of_products.get(where)
        shares = {
            "input_share": _input([*blocks[data.case].values()], data),
            "overhead_share": overhead.get(data.case, unfitted),
            "memory_share": _of_rate(data, moved, copies, "copies"),
            "compute_share": _of_rate(data, computed, products, "products"),
        }
        found = (*_throttled(data), *(_bounds(shares) if judged else ()), *_disturbed(data))
        advice = found[0].advice if found else _would_show(shares, judged)
        copy, product = _rate(copies), _rate(products)
        yield Bottleneck(data, found, advice, shares, moved, copy, computed, product)


def _rate(mean: stats.Mean | None) -> float | None:
    return None if mean is None else math.exp(mean.value)


def step_bytes(facts: ModelFacts, batch_size: int) -> float | None:
    """Return the bytes that a step moves at least, unless caches keep some.

    Every layer's output is written once and read once (backward; forward reads from a cache),
    parameters and the optimizer's variables likewise. Gradients and second reads are left out.
    """
    activations, parameters = facts.activation_bytes_per_sample, facts.parameter_bytes
    if activations is None or parameters is None or facts.optimizer_bytes is None:
        return None
    return 2.0 * (activations * batch_size + parameters + facts.optimizer_bytes)


def _step_flop(data: CaseData) -> float | None:
    """Return the operations that a step computes at most; see `work`."""
    macs = data.facts.macs_per_sample
    return None if macs is None else 2.0 * work.PASSES * macs * data.case.batch_size


def _input(blocks: Sequence[Sequence[Worker]], data: CaseData) -> Share:
    """Return what `fit` adds to its steps, per block: the same workers ran both."""
    samples = data.facts.train_samples
    steps = samples / data.case.batch_size
    timed = [[(w.start.fit, w.step_seconds) for w in block if w.start.fit] for block in blocks]
    if not any(timed):
        return Share(None, "no fit was timed: it was only a reference")
    ratio = stats.over_workers(
        (epochs.project(fit, samples) / (step * steps) for fit, step in block) for block in timed
    )
    return Share(ratio.mapped(lambda value: value - 1))


def _overheads(analysis: Analysis) -> dict[Case, Share]:
    """Return the share of the fixed cost at every measured size, where the law holds."""
    found = {}
    for reference, law, points in batch_law.laws(analysis):
        for size in {reference.batch_size, *points}:
            share = Share(None, law.reason) if law.reason else Share(law.overhead_share(size))
            found[dataclasses.replace(reference, batch_size=size)] = share
    return found


def _of_rate(data: CaseData, amount: float | None, rate: stats.Mean | None, kind: str) -> Share:
    """Return the time that an amount takes at a rate, over the time of a step."""
    if amount is None:
        return Share(None, "not counted: a layer is of an unknown kind or shape")
    if rate is None:
        return Share(None, f"the run has no rate of {kind}")
    steps = [math.log(amount / seconds) for seconds in data.block_steps]
    slowness = dataclasses.replace(rate, value=-rate.value)
    return Share(stats.exponential(stats.sum_of_means([stats.mean(steps), slowness])))


def _bounds(shares: Mapping[str, Share]) -> Iterator[Finding]:
    for bound in BOUNDS:
        estimate = shares[bound.share].estimate
        if estimate and estimate.low is not None and estimate.low >= bound.threshold:
            evidence = bound.evidence.format(_percents(estimate))
            yield Finding(bound.verdict, evidence, bound.advice)


def _throttled(data: CaseData) -> Iterator[Finding]:
    """Find a CPU quota or a lowered clock."""
    stopped = rounds.total(data.rounds, "throttled_seconds") / data.seconds
    if stopped > cautions.THROTTLED_SHARE:
        evidence = f"the cgroup's CPU quota stopped it for {100 * stopped:.0f} % of the time"
        yield Finding(THROTTLED, evidence, "raise the quota, or train on fewer threads")
    for reason in cautions.lowered_clocks(data.usages):
        evidence = f"the GPU lowered its clocks: {reason}"
        yield Finding(THROTTLED, evidence, "cool it, or raise its power limit")


def _disturbed(data: CaseData) -> Iterator[Finding]:
    cpus = cautions.disturbed_cpus(data.rounds, data.seconds, data.case.threads)
    for caution in (*cpus, *cautions.shared_gpu(data.usages)):
        yield Finding(DISTURBED, f"{caution.doubt} ({caution.figure})", caution.advice)


def _would_show(shares: Mapping[str, Share], judged: bool) -> str:
    """Say what to measure where nothing is shown."""
    if not judged or any(s.estimate and s.estimate.low is None for s in shares.values()):
        return _HIGHER_EFFORT
    wide = [
        bound.share.removesuffix("_share")
        for bound in BOUNDS
        if (estimate := shares[bound.share].estimate) and estimate.holds(bound.threshold)
    ]
    if wide:
        return f"more blocks: the interval of {', '.join(wide)} holds the threshold"
    if any(share.missing for share in shares.values()):
        return "the shares that are missing"
    return "a profiler: no share reaches its threshold"


def _percents(estimate: Estimate) -> str:
    low, high = estimate.low or 0.0, estimate.high or 0.0
    return f"{units.percent(100 * estimate.value)} [{round(100 * low)}, {round(100 * high)}]"
