"""How much faster are more devices? With the same batch, and with the same batch per device."""

import pytest

EARLY_STEPS = 16

pytestmark = pytest.mark.matrix(
    variants=["baseline"], batch_sizes=[256], backends=["tensorflow", "jax"]
)


def test_strong(train, variant, batch_size, device, backend, replicas):
    """The same batch: it learns the same."""
    train(
        variant,
        batch_size=batch_size,
        device=device,
        backend=backend,
        replicas=replicas,
        reference={"replicas": 1},
        early_steps=EARLY_STEPS,
    )


def test_weak(train, variant, batch_size, device, backend, replicas):
    """The same batch on each device."""
    train(
        variant,
        batch_size=batch_size * replicas,
        device=device,
        backend=backend,
        replicas=replicas,
        reference={"replicas": 1, "batch_size": batch_size},
    )


@pytest.mark.matrix(variants=["baseline"], batch_sizes=[256], backends=["jax"])
@pytest.mark.parametrize("kind", ["strong", "weak"])
def test_hosts(train, variant, batch_size, device, backend, hosts, kind):
    """One device of each host together, against the first host alone."""
    more = hosts if kind == "weak" else 1
    train(
        variant,
        batch_size=batch_size * more,
        device=device,
        backend=backend,
        replicas=hosts,
        hosts=hosts,
        reference={"replicas": 1, "hosts": 1, "batch_size": batch_size},
        early_steps=EARLY_STEPS if kind == "strong" else None,
    )
