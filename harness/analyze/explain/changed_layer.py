"""How much longer a step would take with one layer several times in its place, by its profile.

Each copy takes the time of the layer, and the optimizer updates its weights. Nothing else is known
to change: fusion of operations and their overlap are not foreseen, nor the sum of the outputs.
"""

from harness.analyze.explain import layers
from harness.records import Profile


def copied(profile: Profile, path: str, times: int) -> list[float]:
    """Return the predicted change as a share of the step, by worker: 0.1 for a tenth more.

    Raises:
        ValueError: there is no such layer.
    """
    place = [layer.path for layer in profile.layers].index(path)
    parameters = profile.layers[place].parameters / max(1, profile.facts.parameters)
    shares = layers.shares_by_worker(profile)
    both = zip(shares[str(place)], shares[layers.OPTIMIZER], strict=True)
    return [(times - 1) * (its + parameters * optimizer) for its, optimizer in both]
