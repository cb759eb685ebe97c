"""How much longer a step would take with one layer left out or enlarged, by its profile.

A layer that is left out takes its time with it. One that is n times as wide, or n times in a row,
takes n times its time. Where its output becomes n times as large, so does the time of the layers
behind, up to the next one with weights, whose matrix products and convolutions have n times the
input. The time of the optimizer grows with the parameters. Nothing else is known to change: fusion
of operations, their overlap and other rates of larger ones are not foreseen.

Only in a chain of layers is the layer behind another one the next that is called.
"""

import re
from collections.abc import Sequence

from harness.analyze.explain import layers
from harness.records import LayerFacts, Profile, Traced

# Operations of the frameworks that are products or convolutions, gradients among them; XLA calls
# those of its library for CPUs `ynn_fusion`.
_PRODUCT = re.compile(r"conv|matmul|gemm|einsum|dot|ynn|mm\b", re.IGNORECASE)


def left_out(profile: Profile, path: str) -> list[float]:
    """Return the predicted change as a share of the step, by worker: -0.1 for a tenth less.

    Raises:
        ValueError: there is no such layer, or its sizes are unknown.
    """
    place = _place(profile.layers, path)
    taken, given = profile.layers[place].input_bytes_per_sample, _output_bytes(profile, place)
    if not taken or not given:
        raise ValueError(f"the sizes of {path} are unknown")
    grown = [_behind(worker, profile, place, (taken - given) / given) for worker in profile.workers]
    return [
        growth - layers.share(worker, str(place)) - _updates(worker, profile, [place])
        for worker, growth in zip(profile.workers, grown, strict=True)
    ]


def widened(profile: Profile, path: str, times: int) -> list[float]:
    """Return the predicted change with a layer so many times as wide, as `left_out` does."""
    place = _place(profile.layers, path)
    return [
        alone + _behind(worker, profile, place, times - 1)
        for worker, alone in zip(profile.workers, repeated(profile, path, times), strict=True)
    ]


def repeated(profile: Profile, path: str, times: int) -> list[float]:
    """Return the predicted change with a layer so many times in a row, as `left_out` does."""
    place = _place(profile.layers, path)
    return [
        (times - 1) * (layers.share(worker, str(place)) + _updates(worker, profile, [place]))
        for worker in profile.workers
    ]


def _place(known: Sequence[LayerFacts], path: str) -> int:
    return [layer.path for layer in known].index(path)


def _output_bytes(profile: Profile, place: int) -> int | None:
    """Memory of the output of a layer for one sample, of a view that of its input."""
    layer = profile.layers[place]
    return layer.activation_bytes_per_sample or layer.input_bytes_per_sample


def _behind(worker: Traced, profile: Profile, place: int, growth: float) -> float:
    """What is added behind a layer whose output grows by a share, up to the next with weights."""
    added = 0.0
    for behind in range(place + 1, len(profile.layers)):
        row = str(behind)
        if profile.layers[behind].parameters:
            products = layers.share(worker, row, _PRODUCT.search)
            return growth * (added + products + _updates(worker, profile, [behind]))
        added += layers.share(worker, row)
    return growth * added


def _updates(worker: Traced, profile: Profile, places: Sequence[int]) -> float:
    """Share of a step in which the optimizer updates the weights of some layers."""
    parameters = sum(profile.layers[place].parameters for place in places)
    return layers.share(worker, layers.OPTIMIZER) * parameters / profile.facts.parameters
