"""What it does to a worker to start before the other, and how it is taken out."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_FEWEST = 4  # blocks: of three too little would be left


def without_place(values: Sequence[float], blocks: Sequence[int]) -> tuple[float, ...]:
    """Take out of the values of blocks what it does to start first.

    Either side starts first in every second block, so the value of a block is mean + place +
    scatter, where the place changes its sign from block to block. What is returned are contrasts
    without the place: one value fewer, independent and scattered alike if the blocks are. Their
    mean and its Student-t interval are those of least squares with an effect of the place, as in
    the analysis of cross-over trials (Jones and Kenward 2014, "Design and analysis of cross-over
    trials", chapter 2), so that all that is made for independent values can be used.

    Args:
        values: One a block.
        blocks: Their indices, in the same order.

    Returns:
        The values as they are for fewer than four blocks, of which too little would be left, or
        where one side always started first.
    """
    places = tuple(block % 2 for block in blocks)
    if len(values) < _FEWEST or len(set(places)) < 2:
        return tuple(values)
    return tuple(map(float, _contrasts(places) @ np.asarray(values)))


@functools.lru_cache
def _contrasts(places: tuple[int, ...]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Contrasts that leave the place out and keep the mean, a row each."""
    n = len(places)
    signs = np.where(places, -1.0, 1.0)[:, np.newaxis]
    free = _mirror(signs / math.sqrt(n))[1:]  # an orthonormal basis of all that is no place
    mean = free.sum(axis=1, keepdims=True)  # the mean in it
    length = float(np.linalg.norm(mean))
    # Turned so that the mean lies alike in all of them.
    alike = _mirror(mean / length)
    contrasts: np.ndarray[Any, np.dtype[np.float64]] = (
        _mirror(np.full((n - 1, 1), 1 / math.sqrt(n - 1))) @ alike @ free
    ) * (math.sqrt(n - 1) / length)
    return contrasts


def _mirror(unit: "np.ndarray[Any, np.dtype[np.float64]]") -> Any:
    """Householder's reflection that takes a unit vector to the first axis, and that to it."""
    first = np.zeros_like(unit)
    first[0] = 1.0
    normal = unit - first
    size = float((normal**2).sum())
    identity = np.eye(len(unit))
    return identity if size < 1e-24 else identity - 2 * normal @ normal.T / size
