"""The test samples that no training gets right: how far accuracies can differ at all."""

import base64
import math
import statistics
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analyze.analysis import Analysis
from harness.records import Mistake

_LARGEST_IMAGE = 2**24  # pixels


@dataclass(frozen=True, slots=True)
class Hard:
    """A test sample, by its index, that many trainings get wrong."""

    sample: int
    label: int
    predicted: int  # the wrong class given most often
    trainings: int  # how many gave a wrong class
    confidence: float  # mean probability of the wrong class
    image: NDArray[np.uint8]  # gray levels, (height, width)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How many test samples every training gets wrong, and any."""

    variants: int
    trainings: int
    test_samples: int
    wrong_always: int
    wrong_ever: int
    hardest: tuple[Hard, ...]  # wrong most often, then with the greatest confidence; only images


def ceiling(analysis: Analysis, shown: int) -> Ceiling | None:
    """Find the hardest test images, so many at most; None when no image is wrong."""
    trainings = [t for t in analysis.run.trainings if t.mistakes is not None and t.image_shape]
    found: dict[int, list[Mistake]] = defaultdict(list)
    for training in trainings:
        for mistake in training.mistakes or ():
            found[mistake.sample].append(mistake)
    if not found:
        return None

    def rank(mistakes: list[Mistake]) -> tuple[int, float]:
        return len(mistakes), statistics.fmean(m.confidence for m in mistakes)

    hardest = sorted(found.values(), key=rank, reverse=True)[:shown]
    shape = trainings[0].image_shape or ()
    return Ceiling(
        variants=len({t.recipe.case.variant for t in trainings}),
        trainings=len(trainings),
        test_samples=trainings[0].test_samples,
        wrong_always=sum(len(mistakes) == len(trainings) for mistakes in found.values()),
        wrong_ever=len(found),
        hardest=tuple(filter(None, (_hard(mistakes, shape) for mistakes in hardest))),
    )


def _hard(mistakes: list[Mistake], shape: tuple[int, ...]) -> Hard | None:
    first = mistakes[0]
    image = _image(first.pixels or "", shape)
    if image is None:
        return None
    return Hard(
        sample=first.sample,
        label=first.label,
        predicted=Counter(m.predicted for m in mistakes).most_common(1)[0][0],
        trainings=len(mistakes),
        confidence=statistics.fmean(m.confidence for m in mistakes),
        image=image,
    )


def _image(pixels: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Unpack an image, with a limit: a run may come from elsewhere. None if the shape differs."""
    size = math.prod(shape)
    if not 0 < size <= _LARGEST_IMAGE:
        return None
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(pixels), size + 1)
    except (zlib.error, ValueError):
        return None
    return np.frombuffer(data, np.uint8).reshape(shape) if len(data) == size else None
