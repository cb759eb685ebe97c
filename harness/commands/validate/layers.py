"""Judge the table of layers: does a copy of a layer lengthen the step as the layer's row foretells?

Each changed model is compared with the model as it is, in pairs as always; the prediction comes
from a profile of the model as it is. A layer gets so many copies that the change can be measured.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.analyze import stats
from harness.analyze.explain import changed_layer
from harness.analyze.moderation import Speedups
from harness.commands.validate.changed_models import variant
from harness.commands.validate.claims import Check
from harness.measure.group import NO_WISH
from harness.measure.runner import Runner
from harness.records import Case, Estimate, Failure, LayerFacts, Measurement, Profile, Protocol, Run
from harness.tables.declare import grouped

BATCH_SIZE = 64
_TIMES, _ENOUGH = (2, 4, 8, 16), 0.5  # how many there are of a layer; the change that is wanted
_LEAST = 0.04  # a smaller change, with sixteen of a layer, cannot be told from the noise
_WORKERS = 6  # of a profile
PROTOCOL = Protocol(
    "changed layers",
    blocks=6,
    block_seconds=3.0,
    round_seconds=0.25,
    fit_seconds=0.2,
    warm_up_seconds=0.5,
    min_pairs=2,
)
MARGIN, FEWEST = 0.15, 4  # of the change of the step; layers per backend that are within
_MARGIN = f"{100 * MARGIN:.0f} %"
_DIFFERS = "differs, as fusion or overlap can make it"


@dataclass(frozen=True, slots=True)
class Foretold:
    """A changed layer.

    Attributes:
        case: The model as it is.
        change: In words.
        predicted: Change of the step as a share of the step, over the workers of the profile.
        measured: The same over the blocks of the comparison.
    """

    case: Case
    change: str
    predicted: Estimate
    measured: Estimate

    @property
    def error(self) -> Estimate:
        """Predicted less measured."""
        value = self.predicted.value - self.measured.value
        n = min(self.predicted.n, self.measured.n)
        predicted, measured = _half(self.predicted), _half(self.measured)
        if predicted is None or measured is None:
            return Estimate(value, None, None, n)
        half = math.hypot(predicted, measured)
        return Estimate(value, value - half, value + half, n)

    @property
    def margin(self) -> float:
        """How large the error may be."""
        return MARGIN * abs(self.measured.value)

    @property
    def outcome(self) -> str:
        """Whether the whole error is within the margin, or none of it, or neither is shown."""
        error, margin = self.error, self.margin
        if error.low is None or error.high is None:
            return "not shown"
        if -margin <= error.low and error.high <= margin:
            return f"within {_MARGIN} of the change"
        return _DIFFERS if error.low > margin or error.high < -margin else "not shown"


def _half(estimate: Estimate) -> float | None:
    if estimate.low is None or estimate.high is None:
        return None
    return (estimate.high - estimate.low) / 2


def measure(runner: Runner, case: Case) -> Iterator[Failure]:
    """Profile a bundled model and compare it with each of its changes; yield what failed.

    Raises:
        WorkerFailed: the model cannot be profiled.
    """
    changes = _changes(runner.profile(case, _WORKERS))
    runner.measure_group({(changed, case): NO_WISH for changed in changes})
    for changed in changes:
        outcome = runner.measure(changed, case)
        if isinstance(outcome, Failure):
            yield outcome


def _changes(profile: Profile) -> dict[Case, tuple[str, Estimate]]:
    """The changes of a model by their cases: in words, and what they are foretold to do."""
    found = {}
    for layer in profile.layers:
        options = {times: changed_layer.copied(profile, layer.path, times) for times in _TIMES}
        enough = (n for n, one in options.items() if stats.interval(one).value >= _ENOUGH)
        times = next(enough, _TIMES[-1])
        predicted = stats.interval(options[times])
        if predicted.value >= _LEAST and _has_copies(layer):
            name = variant(profile.case.variant, layer.path, times)
            case = dataclasses.replace(profile.case, variant=name)
            found[case] = f"{layer.path} {times} times", predicted
    return found


def _has_copies(layer: LayerFacts) -> bool:
    """Whether `changed_models` makes copies of a layer that are computed one by one."""
    taken, given = layer.input_bytes_per_sample, layer.activation_bytes_per_sample
    return bool(layer.parameters) or (bool(given) and taken == given)


def foretold(run: Run) -> list[Foretold]:
    """Return the changed layers of all profiled models of a run."""
    measured = {(o.case, o.reference): o for o in run.outcomes if isinstance(o, Measurement)}
    speedups = Speedups.of(measured.values())
    found = []
    for profile in run.profiles:
        for changed, (words, predicted) in _changes(profile).items():
            if (m := measured.get((changed, profile.case))) is not None:
                slower = speedups.speedup(m).inverse().mapped(lambda ratio: ratio - 1)
                found.append(Foretold(profile.case, words, predicted, slower))
    return found


def judge(found: Sequence[Foretold]) -> Iterator[Check]:
    """Judge each changed layer, and per backend whether enough of them are as foretold."""
    for backend, its in grouped(found, lambda one: one.case.backend).items():
        yield from map(_check, its)
        near = sum(abs(one.error.value) <= one.margin for one in its)
        few = len(its) < FEWEST
        yield Check(
            f"{backend}: layers as foretold",
            f"≥ {FEWEST} within {_MARGIN} of the change",
            f"{near} of {len(its)}",
            len(its),
            "holds" if near >= FEWEST else "not shown" if few else "falls short",
        )


def _check(one: Foretold) -> Check:
    """A layer alone is for comparison: the claim is about how many of a backend are as foretold."""
    found = f"step {_percent(one.measured)}, foretold {_percent(one.predicted)}: {one.outcome}"
    subject = f"{one.case.backend}, {one.case.variant}: {one.change}"
    return Check(subject, "", found, one.measured.n, "for comparison")


def _percent(share: Estimate) -> str:
    ends = ""
    if share.low is not None and share.high is not None:
        ends = f" [{100 * share.low:+.1f}, {100 * share.high:+.1f}]"
    return f"{100 * share.value:+.1f} %{ends}"
