"""Which comparisons a set of variants, devices and batch sizes makes, in a stable order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

USUAL_REFERENCE = 256  # the batch size of references, if it is measured

Fields = Mapping[str, Any]
Side = tuple[str, str]  # variant and device


def reference_size(sizes: Sequence[int]) -> int:
    """The batch size of references: 256, else the smallest."""
    return USUAL_REFERENCE if USUAL_REFERENCE in sizes else min(sizes)


def comparisons(
    variants: Sequence[str],
    devices: Sequence[str],
    sizes: Mapping[Side, Sequence[int]],
    references: Mapping[Side, int],
) -> Iterator[tuple[Fields, Fields]]:
    """Yield each comparison: the fields of a case, and those in which its reference differs.

    On each device each variant's batch sizes against its reference size (which is compared with
    itself for the noise floor), and each variant against the first at the first one's reference
    size; then each further device against the first. A further variant of one size, the first
    one's reference size, is in the second comparison alone. There are no sizes where none fits.
    """
    first = variants[0]
    for device in devices:
        for variant in variants:
            if variant != first and [*sizes[variant, device]] == [references.get((first, device))]:
                continue
            for size in sizes[variant, device]:
                yield _fields(variant, size, device), {"batch_size": references[variant, device]}
        for variant in variants[1:]:
            if sizes[first, device] and sizes[variant, device]:
                yield _fields(variant, references[first, device], device), {"variant": first}
    for device in devices[1:]:
        for variant in variants:
            for size in sizes[variant, device]:
                if size in sizes[variant, devices[0]]:
                    yield _fields(variant, size, device), {"device": devices[0]}


def _fields(variant: str, batch_size: int, device: str) -> Fields:
    return {"variant": variant, "batch_size": batch_size, "device": device}
