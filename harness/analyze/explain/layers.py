"""Where a step's time goes, layer by layer, and which roof bounds each layer.

The time of an operation is that of a trace. On the CPU, a share of the traced steps is the same
share of a step that is not traced. On a GPU, tracing lengthens the time between kernels and not
the kernels: a kernel takes the same seconds of a step that is not traced, and for the rest of the
step the GPU is idle. What no operation accounts for is a row of its own, so that rows add up to the
step. The roofs are those of `bottleneck`, applied to a layer: the arithmetic of its forward and
backward pass, and the bytes that it reads and writes at least.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.analyze import stats
from harness.records import Estimate, LayerFacts, Profile, Traced

OPTIMIZER, LOSS, INPUT, UNATTRIBUTED = "optimizer", "loss and metrics", "input", "unattributed"
IDLE = "GPU idle"
_PARTS = (OPTIMIZER, LOSS, INPUT, UNATTRIBUTED)
BOUND_FROM = 0.5  # of a layer's time at a roof: from half on nothing else can take as much
_PART_OF = {"loss": LOSS, "metrics": LOSS, None: UNATTRIBUTED}
_GAPS = "between operations"
_MOST_NAMED, _LEAST = 3, 0.01  # operations of a layer, and the share of one that is named


@dataclass(frozen=True, slots=True)
class Roof:
    """How much of a layer's time its work would take at the best rate of the machine.

    Attributes:
        flop: Floating-point operations per step, two per multiply-accumulate; None if there are
            none, or unknown.
        arithmetic: Share of the layer's time at the rate of a matrix product.
        memory: Share at the rate of a copy.
    """

    flop: float | None = None
    arithmetic: float | None = None
    memory: float | None = None

    @property
    def bound(self) -> str:
        """The roof that bounds the layer: `arithmetic`, `memory`, or `neither`; empty: unknown."""
        known = {"arithmetic": self.arithmetic, "memory": self.memory}
        shares = {name: share for name, share in known.items() if share is not None}
        if not shares:
            return ""
        name = max(shares, key=lambda one: shares[one])
        return name if shares[name] >= BOUND_FROM else "neither"


@dataclass(frozen=True, slots=True)
class LayerTime:
    """A layer or another part of a step.

    Attributes:
        name: Path of the layer, or one of `parts`.
        facts: None for what is no layer.
        forward: Seconds per step; of what is no layer, all of its time.
        backward: Likewise.
        share: Of a step.
        operations: The kinds of operations that take most of the time, with their shares of it.
    """

    name: str
    facts: LayerFacts | None
    forward: float
    backward: float
    share: Estimate
    roof: Roof
    operations: tuple[tuple[str, float], ...]


def parts(profile: Profile) -> tuple[str, ...]:
    """Return the parts of a step besides its layers."""
    return (*_PARTS, IDLE) if _on_gpu(profile) else _PARTS


def _on_gpu(profile: Profile) -> bool:
    return profile.case.device == "gpu"


def step_seconds(profile: Profile) -> Estimate:
    """Return the time of a step that is not traced, over the workers."""
    return stats.interval([worker.step_seconds for worker in profile.workers])


def seconds_by_worker(profile: Profile) -> dict[str, list[float]]:
    """Return the seconds per step in each worker, by the place of a layer or the name of a part."""
    step = step_seconds(profile).value
    shares = shares_by_worker(profile)
    return {row: [step * one for one in its] for row, its in shares.items()}


def shares_by_worker(profile: Profile) -> dict[str, list[float]]:
    """Return the shares of a step likewise."""
    shares = [_shares(worker, profile) for worker in profile.workers]
    return {
        row: [one[row, False] + one[row, True] for one in shares]
        for row in (*map(str, range(len(profile.layers))), *parts(profile))
    }


def times(profile: Profile) -> list[LayerTime]:
    """Return the layers of a profile in their order, then the other parts of the step."""
    step = step_seconds(profile).value
    shares = [_shares(worker, profile) for worker in profile.workers]
    names = [str(number) for number in range(len(profile.layers))]
    roofs = dict(zip(names, _work(profile), strict=True))
    facts = dict(zip(names, profile.layers, strict=True))
    found = []
    for row in (*names, *parts(profile)):
        forward = [one[row, False] for one in shares]
        backward = [one[row, True] for one in shares]
        both = [a + b for a, b in zip(forward, backward, strict=True)]
        share = stats.interval(both)
        seconds = step * share.value
        found.append(
            LayerTime(
                name=facts[row].path if row in facts else row,
                facts=facts.get(row),
                forward=step * sum(forward) / len(shares),
                backward=step * sum(backward) / len(shares),
                share=share,
                roof=_roof(*roofs[row], seconds, profile) if row in roofs else Roof(),
                operations=_operations(profile, row),
            )
        )
    return [one for one in found if one.share.value > 0 or one.facts is None]


def _shares(worker: Traced, profile: Profile) -> defaultdict[tuple[str, bool], float]:
    """Shares of a step by row and direction, 0 for others; they add up to 1."""
    found: defaultdict[tuple[str, bool], float] = defaultdict(float)
    for one in worker.spent:
        row = _row(one.row)
        found[row, one.backward and row.isdigit()] += one.seconds / _whole(worker, profile)
    rest = IDLE if _on_gpu(profile) else UNATTRIBUTED
    found[rest, False] += 1 - sum(found.values())
    return found


def _whole(worker: Traced, profile: Profile) -> float:
    """Seconds of which the times of a trace are shares."""
    if not _on_gpu(profile):
        return worker.traced_seconds
    return max(worker.step_seconds, worker.operations_seconds)


def _row(row: str | None) -> str:
    return row if row is not None and row.isdigit() else _PART_OF.get(row, row or UNATTRIBUTED)


def _operations(profile: Profile, row: str) -> tuple[tuple[str, float], ...]:
    found: defaultdict[str, float] = defaultdict(float)
    for worker in profile.workers:
        whole = _whole(worker, profile)
        for one in worker.spent:
            if _row(one.row) == row:
                found[one.operation] += one.seconds / whole
        if row == UNATTRIBUTED and not _on_gpu(profile):
            found[_GAPS] += max(0.0, 1 - worker.operations_seconds / whole)
    total = sum(found.values())
    most = sorted(found, key=lambda name: -found[name])[:_MOST_NAMED]
    return tuple((name, found[name] / total) for name in most if found[name] > _LEAST * total)


def _work(profile: Profile) -> Iterator[tuple[float | None, float | None]]:
    """Yield the operations and the bytes of a step of each layer.

    A forward pass computes a product. Where a layer has weights, the gradient of the weights is
    one more, and the gradient of the input another one, but for the first such layers: what comes
    before them is not trained. A product of two inputs, as in attention, has two gradients, too.
    """
    batch, trained = profile.case.batch_size, False
    for layer in profile.layers:
        products = 1 + (layer.trainable or not layer.parameters) + trained
        macs = layer.macs_per_sample
        flop = None if not macs else 2.0 * macs * batch * products
        taken, given = layer.input_bytes_per_sample, layer.activation_bytes_per_sample
        moved = None
        if taken is not None and given:
            # Forward reads the input and writes the output; backward reads the input and the
            # gradient of the output, and writes the gradient of the input where there is one.
            moved = batch * (taken * (2 + trained) + given * 2.0)
            moved += layer.parameter_bytes * (2 + layer.trainable)
        trained = trained or layer.trainable
        yield flop, moved


def _roof(flop: float | None, moved: float | None, seconds: float, profile: Profile) -> Roof:
    def of(work: float | None, rate: float | None) -> float | None:
        return None if work is None or not rate or not seconds else work / rate / seconds

    return Roof(
        flop=flop,
        arithmetic=of(flop, profile.product_flops),
        memory=of(moved, profile.copy_bytes_per_second),
    )


def largest(rows: Sequence[LayerTime]) -> LayerTime | None:
    """Return the layer that takes most of a step."""
    layers = [row for row in rows if row.facts is not None]
    return max(layers, key=lambda row: row.share.value, default=None)
