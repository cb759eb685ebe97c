"""The start-order effect, of the worker that starts first, and how it is subtracted."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_FEWEST = 4  # blocks: three would leave too little


def without_start_order(values: Sequence[float], blocks: Sequence[int]) -> tuple[float, ...]:
    """Subtract the start-order effect from the values of blocks, given in the same order.

    Each side starts first in every second block, so the value of a block is mean + effect +
    scatter, where the effect changes sign from block to block. The result are contrasts without
    the effect: one value fewer, as independent and as scattered as the blocks are. The mean of
    the contrasts and the Student-t interval of that mean are those of least squares with a
    start-order effect, as in the analysis of cross-over trials (Jones and Kenward 2014, "Design
    and analysis of cross-over trials", chapter 2), so that all that is made for independent
    values can be used.

    Fewer than four blocks, which would leave too little, and blocks in which one side always
    started first, keep their values.
    """
    firsts = tuple(block % 2 for block in blocks)
    if len(values) < _FEWEST or len(set(firsts)) < 2:
        return tuple(values)
    return tuple(map(float, _contrasts(firsts) @ np.asarray(values)))


@functools.lru_cache
def _contrasts(firsts: tuple[int, ...]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return contrasts that leave the effect out and keep the mean, one per row."""
    n = len(firsts)
    signs = np.where(firsts, -1.0, 1.0)[:, np.newaxis]
    free = _mirror(signs / math.sqrt(n))[1:]  # an orthonormal basis of all but the effect
    mean = free.sum(axis=1, keepdims=True)  # the mean in it
    length = float(np.linalg.norm(mean))
    # Turned so that the mean lies alike in all of them.
    alike = _mirror(mean / length)
    contrasts: np.ndarray[Any, np.dtype[np.float64]] = (
        _mirror(np.full((n - 1, 1), 1 / math.sqrt(n - 1))) @ alike @ free
    ) * (math.sqrt(n - 1) / length)
    return contrasts


def _mirror(unit: "np.ndarray[Any, np.dtype[np.float64]]") -> Any:
    """Return Householder's reflection that swaps a unit vector and the first axis."""
    first = np.zeros_like(unit)
    first[0] = 1.0
    normal = unit - first
    size = float((normal**2).sum())
    identity = np.eye(len(unit))
    return identity if size < 1e-24 else identity - 2 * normal @ normal.T / size
