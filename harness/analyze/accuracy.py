"""Which of two trained variants is more accurate, on the same test samples, over seeds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from harness.analyze import stats
from harness.records import Estimate

Verdict = Literal["better", "worse", "same", "undecided"]
MARGIN = 0.001  # 10 of 10 000 test samples
FEWEST_SEEDS = 3
_POWER = 0.8


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy of a case less that of its reference.

    Attributes:
        estimate: As a share; n is the number of seeds.
        only_case_right: Samples that the case alone gets right, a seed on average.
        only_reference_right: Samples that the reference alone gets right.
        p_value: McNemar's exact test for one seed; None for several.
    """

    estimate: Estimate
    only_case_right: float
    only_reference_right: float
    p_value: float | None


def difference(
    case_wrong: Sequence[Collection[int]],
    reference_wrong: Sequence[Collection[int]],
    samples: int,
    confidence: float = 0.95,
) -> Difference:
    """Estimate the difference of two accuracies from paired mistakes.

    A seed's difference on one sample is 1, 0 or −1; its mean varies with the
    samples and with the seeds. For three seeds or more the interval is the
    wider of two: Student's t over the seeds' means, and that which counts both
    variances, as for readers and cases in diagnostic studies (Roe and Metz 1997,
    "Variance-component modeling in the analysis of receiver operating
    characteristic index estimates"): var = (MS_samples + max(0, MS_seeds −
    MS_rest)) / (seeds · samples), with Satterthwaite's degrees of freedom. The
    first leaves out the samples, the second covers too little where seeds are
    few. For fewer seeds it is over the samples alone, the interval that belongs
    to McNemar's test (1947): it speaks of these trained models, and not of
    other seeds.

    Args:
        case_wrong: Indices of the test samples that the case gets wrong, a seed each.
        reference_wrong: Likewise, the same seeds.
        samples: Size of the test set.
        confidence: Of the interval.

    Raises:
        ValueError: there is no seed, or not as many of each.
    """
    seeds = len(case_wrong)
    if not seeds or len(reference_wrong) != seeds:
        raise ValueError(f"{seeds} and {len(reference_wrong)} seeds")
    gains = np.zeros((seeds, samples))
    for seed, (wrong, other) in enumerate(zip(case_wrong, reference_wrong, strict=True)):
        gains[seed, list(other)] += 1
        gains[seed, list(wrong)] -= 1
    mean = float(gains.mean())
    half = _half_width(gains, confidence)
    plus, minus = (gains > 0).sum(axis=1), (gains < 0).sum(axis=1)
    return Difference(
        Estimate(mean, mean - half, mean + half, seeds, confidence),
        float(plus.mean()),
        float(minus.mean()),
        stats.sign_test(int(plus[0]), int(minus[0])) if seeds == 1 else None,
    )


def _half_width(gains: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", confidence: float
) -> float:  # fmt: skip
    seeds, samples = gains.shape
    by_sample, by_seed = gains.mean(axis=0), gains.mean(axis=1)
    over_samples = (float(by_sample.var(ddof=1)) / samples, samples - 1.0)
    if seeds < FEWEST_SEEDS:
        return stats.spread([over_samples], confidence)
    rest = gains - by_sample - by_seed[:, np.newaxis] + gains.mean()
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (samples - 1))
    ms_seeds = samples * float(by_seed.var(ddof=1))
    extra = (max(0.0, ms_seeds - ms_rest) / (seeds * samples), seeds - 1.0)
    over_seeds = (ms_seeds / (seeds * samples), seeds - 1.0)
    return max(
        stats.spread([over_samples, extra], confidence), stats.spread([over_seeds], confidence)
    )


def verdict(estimate: Estimate, samples: int, margin: float = MARGIN) -> Verdict:
    """Judge a difference of accuracies; the interval decides.

    Same, where it lies within the margin, and one test sample counts for no
    more than that; else better or worse, where it lies on one side of 0. There
    is no margin to exceed, as there is for speed: both variants were asked the
    same samples, and nothing disturbs an answer.
    """
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return "undecided"
    if -margin <= low and high <= margin and samples * margin >= 1:
        return "same"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "undecided"


def smallest_visible(estimate: Estimate) -> float | None:
    """Difference that four of five such trainings would have shown, by the normal quantiles."""
    if estimate.low is None or estimate.high is None:
        return None
    half = (estimate.high - estimate.low) / 2
    normal = NormalDist()
    return half * (1 + normal.inv_cdf(_POWER) / normal.inv_cdf((1 + estimate.confidence) / 2))
