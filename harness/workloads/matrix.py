"""Which comparisons a set of variants, devices and batch sizes makes, in a stable order."""

from collections.abc import Mapping, Sequence
from typing import Any

USUAL_REFERENCE = 256  # the batch size of references, if it is measured

Fields = Mapping[str, Any]
Sizes = Mapping[tuple[str, str], Sequence[int]]


def reference_size(sizes: Sequence[int]) -> int:
    """The batch size of references: 256, else the smallest."""
    return USUAL_REFERENCE if USUAL_REFERENCE in sizes else min(sizes)


def comparisons(
    variants: Sequence[str],
    devices: Sequence[str],
    sizes: Sizes,
    references: Mapping[tuple[str, str], int],
) -> list[tuple[Fields, Fields]]:
    """List each comparison: the fields of a case, and those in which its reference differs.

    On each device each variant's batch sizes against its reference size (which is compared with
    itself for the noise floor), and each variant against the first at the first one's reference
    size; then each further device against the first.

    Args:
        variants: At least one.
        devices: At least one.
        sizes: Batch sizes by variant and device; empty where none fits.
        references: Reference sizes by variant and device.
    """
    found: list[tuple[Fields, Fields]] = []
    for device in devices:
        for variant in variants:
            here = sizes[variant, device]
            found += [
                (_fields(variant, size, device), {"batch_size": references[variant, device]})
                for size in here
            ]
        first = variants[0]
        if sizes[first, device]:
            size = references[first, device]
            found += [
                (_fields(variant, size, device), {"variant": first})
                for variant in variants[1:]
                if sizes[variant, device]
            ]
    for device in devices[1:]:
        found += [
            (_fields(variant, size, device), {"device": devices[0]})
            for variant in variants
            for size in sizes[variant, device]
            if size in sizes[variant, devices[0]]
        ]
    return found


def _fields(variant: str, batch_size: int, device: str) -> Fields:
    return {"variant": variant, "batch_size": batch_size, "device": device}
