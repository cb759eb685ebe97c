"""Where a difference between two cases comes from, layer by layer."""

import difflib
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.analyze import stats
from harness.analyze.analysis import Analysis
from harness.analyze.explain import layers
from harness.records import Estimate, LayerFacts, Measurement, Profile


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer, or another part of a step, beside the one in its place in the reference.

    Attributes:
        layer: Its name; empty for one that only the reference has.
        reference_layer: Likewise.
        before: Seconds per sample of the reference.
        after: Seconds per sample of the case.
        difference: After less before, over workers.
        share: Of the difference of the whole steps.
    """

    layer: str
    reference_layer: str
    before: float
    after: float
    difference: Estimate
    share: float


def pairs(analysis: Analysis) -> Iterator[tuple[Profile, Profile]]:
    """Yield profiles with those of their references, as they were compared.

    Without a comparison, each is compared with the first one of its batch size and platform.
    """
    run = analysis.run
    known = {profile.case: profile for profile in run.profiles}
    measured = [o for o in run.outcomes if isinstance(o, Measurement) and o.case != o.reference]
    for m in measured:
        if m.case in known and m.reference in known:
            yield known[m.case], known[m.reference]
    if measured:
        return
    first: dict[tuple[object, ...], Profile] = {}
    for case, profile in known.items():
        reference = first.setdefault((case.batch_size, case.platform), profile)
        if reference is not profile:
            yield profile, reference


def changes(profile: Profile, reference: Profile) -> list[LayerChange]:
    """Compare the layers of two cases, per sample; those that matter most come first."""
    after, before = _per_sample(profile), _per_sample(reference)
    whole = sum(map(statistics.fmean, after.values()))
    whole -= sum(map(statistics.fmean, before.values()))
    names, reference_names = _names(profile), _names(reference)
    found = []
    both = dict.fromkeys((*layers.parts(profile), *layers.parts(reference)))
    parts = [(part, part) for part in both]
    for here, there in (*_aligned(profile.layers, reference.layers), *parts):
        new, old = after.get(here, []), before.get(there, [])
        groups = [group for group in (new, [-one for one in old]) if group]
        difference = stats.sum_interval(groups)
        found.append(
            LayerChange(
                layer=names.get(here, here),
                reference_layer=reference_names.get(there, there),
                before=statistics.fmean(old) if old else 0.0,
                after=statistics.fmean(new) if new else 0.0,
                difference=difference,
                share=difference.value / whole if whole else 0.0,
            )
        )
    return sorted(found, key=lambda one: -abs(one.difference.value))


def _per_sample(profile: Profile) -> dict[str, list[float]]:
    size = profile.case.batch_size
    its = layers.seconds_by_worker(profile)
    return {row: [seconds / size for seconds in found] for row, found in its.items()}


def _names(profile: Profile) -> dict[str, str]:
    """The paths of layers by their places."""
    return {str(place): layer.path for place, layer in enumerate(profile.layers)}


def _aligned(here: Sequence[LayerFacts], there: Sequence[LayerFacts]) -> Iterator[tuple[str, str]]:
    """Pair the places of layers: those of equal kinds, then what stands between them.

    Empty where the other side has one layer more.
    """
    kinds = [layer.type for layer in there], [layer.type for layer in here]
    matcher = difflib.SequenceMatcher(None, *kinds, autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        for number in range(max(b - a, d - c)):
            yield (
                str(c + number) if c + number < d else "",
                str(a + number) if a + number < b else "",
            )
