"""Which of two trained variants is more accurate, on the same test samples, over seeds."""

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.analyze import stats
from harness.analyze.analysis import Analysis
from harness.analyze.published import published_epochs
from harness.analyze.training.groups import Pair
from harness.records import Estimate

Verdict = Literal["better", "worse", "same", "undecided"]
MARGIN = 0.001  # 10 of 10 000 test samples
FEWEST_SEEDS = 3
_POWER = 0.8
_NOT_INDEPENDENT = "no interval: the test images of digits are shifts of 360 originals"


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy of a case minus that of its reference."""

    estimate: Estimate  # as a share; n is the number of seeds
    only_case_right: float  # samples that the case alone gets right, mean over seeds
    only_reference_right: float
    p_value: float | None  # McNemar's exact test for one seed; None for several


def difference(
    case_wrong: Sequence[Collection[int]], reference_wrong: Sequence[Collection[int]], samples: int
) -> Difference:
    """Estimate the difference of two accuracies from paired mistakes.

    The difference on one sample with one seed is 1, 0 or −1; the mean varies with samples and
    with seeds. For three seeds or more the interval is the wider of two: Student's t over the
    means of the seeds, and the one that counts both variances, as for readers and cases in
    diagnostic studies (Roe and Metz 1997, "Variance-component modeling in the analysis of
    receiver operating characteristic index estimates"): var = (MS_samples + max(0, MS_seeds −
    MS_rest)) / (seeds · samples), with Satterthwaite's degrees of freedom. The first leaves out
    the samples, the second covers too little where seeds are few. For fewer seeds the interval
    is over the samples alone, as in McNemar's test (1947), and holds for these trained models
    only.

    Mistakes are, per seed, the indices of the test samples that a side gets wrong, of so many
    samples. Raises ValueError without a seed, or where the numbers of seeds differ.
    """
    seeds = len(case_wrong)
    if not seeds or len(reference_wrong) != seeds:
        raise ValueError(f"{seeds} and {len(reference_wrong)} seeds")
    gains = np.zeros((seeds, samples))
    for seed, (wrong, other) in enumerate(zip(case_wrong, reference_wrong, strict=True)):
        gains[seed, list(other)] += 1
        gains[seed, list(wrong)] -= 1
    mean = float(gains.mean())
    half = _half_width(gains)
    plus, minus = (gains > 0).sum(axis=1), (gains < 0).sum(axis=1)
    p_value = stats.sign_test(int(plus[0]), int(minus[0])) if seeds == 1 else None
    estimate = Estimate(mean, mean - half, mean + half, seeds)
    return Difference(estimate, float(plus.mean()), float(minus.mean()), p_value)


def _half_width(gains: NDArray[np.float64]) -> float:
    seeds, samples = gains.shape
    by_sample, by_seed = gains.mean(axis=0), gains.mean(axis=1)
    over_samples = (float(by_sample.var(ddof=1)) / samples, samples - 1.0)
    if seeds < FEWEST_SEEDS:
        return stats.spread([over_samples])
    rest = gains - by_sample - by_seed[:, np.newaxis] + gains.mean()
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (samples - 1))
    ms_seeds = samples * float(by_seed.var(ddof=1))
    extra = (max(0.0, ms_seeds - ms_rest) / (seeds * samples), seeds - 1.0)
    over_seeds = (ms_seeds / (seeds * samples), seeds - 1.0)
    parts = [over_samples, extra], [over_seeds]
    return max(map(stats.spread, parts))


def verdict(estimate: Estimate, samples: int) -> Verdict:
    """Judge a difference of accuracies; the interval decides.

    It is `same` when the interval lies within the margin, and one test sample counts for no more
    than the margin; else `better` or `worse` when the interval lies on one side of 0. No margin
    must be exceeded, unlike for speed: both variants answer the same samples, and nothing
    disturbs an answer.
    """
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return "undecided"
    if low >= -MARGIN and high <= MARGIN and samples * MARGIN >= 1:
        return "same"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "undecided"


def smallest_visible(estimate: Estimate) -> float | None:
    """Return the difference that such trainings show with 80 % probability (normal quantiles)."""
    if estimate.low is None or estimate.high is None:
        return None
    half = (estimate.high - estimate.low) / 2
    normal = NormalDist()
    return half * (1 + normal.inv_cdf(_POWER) / normal.inv_cdf((1 + estimate.confidence) / 2))


@dataclass(frozen=True, slots=True)
class Compared:
    """The test accuracies of a case and its reference, over the seeds that both have."""

    test_samples: int | None = None
    accuracy: Estimate | None = None  # of the case; the interval is over seeds
    reference_accuracy: float | None = None
    difference: Estimate | None = None  # without an interval where test samples are not independent
    only_case_right: float | None = None
    only_reference_right: float | None = None
    p_value: float | None = None
    verdict: Verdict | None = None
    smallest_visible: float | None = None
    published: float | None = None  # difference of the published accuracies
    reason: str | None = None  # why a number is missing


def compare(pairs: Sequence[Pair], analysis: Analysis) -> Compared:
    """Compare the accuracies of paired trainings on the same test samples."""
    mine, others = (
        [{mistake.sample for mistake in t.mistakes} for t in side if t.mistakes is not None]
        for side in zip(*pairs, strict=True)
    )
    if len(mine) + len(others) < 2 * len(pairs):
        return Compared(reason="no classes to compare: no test set, or no output a class")
    samples = pairs[0][0].test_samples
    found = difference(mine, others, samples)
    independent = pairs[0][0].recipe.case.dataset != "digits"
    judged = independent and analysis.run.protocol.effort != "quick"
    estimate = found.estimate if independent else replace(found.estimate, low=None, high=None)
    return Compared(
        test_samples=samples,
        accuracy=stats.interval([1 - len(w) / samples for w in mine]),
        reference_accuracy=statistics.fmean(1 - len(w) / samples for w in others),
        difference=estimate,
        only_case_right=found.only_case_right,
        only_reference_right=found.only_reference_right,
        p_value=found.p_value if independent else None,
        verdict=verdict(estimate, samples) if judged else None,
        smallest_visible=smallest_visible(estimate) if judged else None,
        published=_published(pairs[0], analysis),
        reason=None if independent else _NOT_INDEPENDENT,
    )


def _published(pair: Pair, analysis: Analysis) -> float | None:
    figures = [published_epochs(training, analysis.run) for training in pair]
    ends = [f[max(f)].get("val_accuracy") if f else None for f in figures]
    return None if ends[0] is None or ends[1] is None else ends[0] - ends[1]
