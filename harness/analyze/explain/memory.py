"""Where the peak of a step's memory on the CPU is: a model of it by layer beside the measured peak.

What a backward pass needs is the output of each layer. While it goes through a layer, the gradients
of that layer's output and of its input exist as well, and what lies behind is free again. The
optimizer runs when every gradient of a weight exists. So much is a model. The rest of what grows
with the batch are temporary buffers, copies and what operations within a layer keep; the rest that
does not grow is the framework's: graphs, compiled programs, threads, what its allocator keeps free.
Peaks at two batch sizes tell the one from the other.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.records import LayerFacts, Peak, Profile

FRAMEWORK, DATA, OUTPUT_GRADIENTS = "framework, imported", "data and batches", "output gradients"
TEMPORARY, OTHER = "temporary buffers", "other, whatever the batch"
FREE = 0.1  # of the memory, left free by a batch size that fits


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """A layer, or another part of the peak, in bytes.

    Attributes:
        name: Path of the layer, or a name of this module.
        facts: None for what is no layer.
        activations: Outputs that the backward pass needs.
        weights: Of the layer itself.
        gradients: Of its weights.
        optimizer: Variables of the optimizer for these weights.
        other: What is none of these; negative where less is kept than the model assumes.
    """

    name: str
    facts: LayerFacts | None = None
    activations: float = 0.0
    weights: float = 0.0
    gradients: float = 0.0
    optimizer: float = 0.0
    other: float = 0.0

    @property
    def total(self) -> float:
        """Bytes of all kinds."""
        return self.activations + self.weights + self.gradients + self.optimizer + self.other


@dataclass(frozen=True, slots=True)
class Memory:
    """The peak of a case, part by part.

    Attributes:
        parts: The layers in their order, then the others; they add up to the peak.
        peak: Bytes, the mean over workers.
        per_sample: By which the peak grows with the batch; None if only one size was measured.
        explained: Share of the peak beyond framework and data that the model accounts for.
        deepest: Layer in whose backward pass the model is at its peak.
        unknown: Layers whose outputs have no fixed shape and are not counted.
    """

    parts: tuple[MemoryPart, ...]
    peak: float
    per_sample: float | None
    explained: float | None
    deepest: str
    unknown: tuple[str, ...]

    def largest_batch(self, batch_size: int, limit: int) -> int | None:
        """Return the batch size whose peak leaves a tenth of the limit free.

        Args:
            batch_size: Of the peak.
            limit: Bytes.

        Returns:
            0 if not even one sample fits; None if it is not known how the peak grows.
        """
        if not self.per_sample or self.per_sample <= 0:
            return None
        room = (1 - FREE) * limit - self.peak
        return max(0, int(batch_size + room / self.per_sample))

    def peak_at(self, batch_size: int, known: int) -> float | None:
        """Return the predicted peak at another batch size than the known one."""
        return (
            None if self.per_sample is None else self.peak + self.per_sample * (batch_size - known)
        )


def memory(profile: Profile) -> Memory | None:
    """Divide the peak of a profiled case; None if it was not measured."""
    size, layers = profile.case.batch_size, profile.layers
    here = [one for one in profile.peaks if one.batch_size == size]
    others = [one for one in profile.peaks if one.batch_size != size]
    if not here:
        return None
    kept = [
        size * (layer.activation_bytes_per_sample or 0) * max(1.0, layer.calls) for layer in layers
    ]
    unknown = tuple(one.path for one in layers if one.activation_bytes_per_sample is None)
    parts = [_part(layer, bytes_, profile) for layer, bytes_ in zip(layers, kept, strict=True)]
    peak, built, imported = (_mean(here, name) for name in ("peak", "build", "import"))
    data = built - imported - sum(one.weights for one in parts)
    gradients, deepest = _output_gradients(layers, kept, size)
    parts += [MemoryPart(FRAMEWORK, other=imported), MemoryPart(DATA, other=data)]
    parts.append(MemoryPart(OUTPUT_GRADIENTS, other=gradients))
    rest, per_sample = peak - sum(one.total for one in parts), None
    if others:
        fewer = size - others[0].batch_size
        per_sample = (peak - _mean(others, "peak")) / fewer
        loaded = (built - _mean(others, "build")) / fewer
        growing = size * (per_sample - loaded) - sum(kept) - gradients
        parts.append(MemoryPart(TEMPORARY, other=growing))
        rest -= growing
    parts.append(MemoryPart(OTHER if others else f"{TEMPORARY}, {OTHER}", other=rest))
    step = peak - imported - data
    modelled = gradients + sum(one.total for one in parts if one.facts is not None)
    explained = modelled / step if step > 0 else None
    return Memory(tuple(parts), peak, per_sample, explained, deepest, unknown)


def _mean(peaks: Sequence[Peak], name: str) -> float:
    return statistics.fmean(getattr(one, f"{name}_rss_bytes") for one in peaks)


def _part(layer: LayerFacts, activations: float, profile: Profile) -> MemoryPart:
    trained = layer.parameter_bytes if layer.trainable else 0
    known = sum(one.parameter_bytes for one in profile.layers if one.trainable)
    state = profile.facts.optimizer_bytes or 0
    return MemoryPart(
        layer.path,
        layer,
        activations=activations,
        weights=layer.parameter_bytes,
        gradients=trained,
        optimizer=state * trained / known if known else 0.0,
    )


def _output_gradients(
    layers: Sequence[LayerFacts], kept: Sequence[float], size: int
) -> tuple[float, str]:
    """Return by how much gradients of outputs raise the peak, and in which layer that is."""
    found = [*_backward(layers, kept, size)]
    most, name = max(found, default=(0.0, ""))
    return max(0.0, most - sum(kept)), name


def _backward(
    layers: Sequence[LayerFacts], kept: Sequence[float], size: int
) -> Iterator[tuple[float, str]]:
    """Yield what exists while the backward pass goes through each layer that has an output."""
    held, trained = 0.0, False
    for layer, output in zip(layers, kept, strict=True):
        held += output
        into = size * (layer.input_bytes_per_sample or 0) if trained else 0.0
        trained = trained or layer.trainable
        if output and trained:
            yield held + output + into, layer.path
