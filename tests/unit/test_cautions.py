"""Each doubt appears when there is reason for it, and only then."""

import dataclasses

import pytest
from fakes import MACHINE, FakeClock, FakeGpu, FakeLauncher, Silent, protocol

from harness.analyze import cautions
from harness.measure.budget import Budget
from harness.measure.runner import Runner
from harness.records import Case, Usage

CASE = Case("improved", "mnist", 256, threads=2)
REFERENCE = Case("baseline", "mnist", 256, threads=2)
PROTOCOL = protocol(blocks=3, min_pairs=6, max_pairs=6)


@pytest.fixture
def measurement(tmp_path):
    gpu, budget = FakeGpu(name=None), Budget(None, 1, FakeClock())
    runner = Runner(tmp_path, PROTOCOL, MACHINE, FakeLauncher(), Silent(), gpu, budget)
    return runner.measure(CASE, REFERENCE)


def of(measurement, **round_changes):
    rounds = tuple(dataclasses.replace(r, **round_changes) for r in measurement.rounds)
    return cautions.of_measurement(dataclasses.replace(measurement, rounds=rounds), PROTOCOL)


def quiet(measurement):
    """Without what the machine that runs this test did meanwhile."""
    rounds = tuple(
        dataclasses.replace(r, steal_seconds=0.0, other_cpu_seconds=0.0, throttled_seconds=None)
        for r in measurement.rounds
    )
    starts = tuple(dataclasses.replace(s, usage=None) for s in measurement.starts)
    return dataclasses.replace(measurement, rounds=rounds, starts=starts)


def test_a_clean_measurement_has_none(measurement):
    """Silence means something."""
    assert cautions.of_measurement(quiet(measurement), PROTOCOL) == []


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("steal_seconds", "hypervisor"),
        ("other_cpu_seconds", "other processes"),
        ("throttled_seconds", "quota"),
    ],
)
def test_a_disturbance_is_named(measurement, field, words):
    """With what to do about it."""
    found = of(quiet(measurement), **{field: 0.2})
    assert len(found) == 1
    assert words in found[0].doubt
    assert found[0].advice


def test_a_loss_that_does_not_fall_is_named(measurement):
    """Speed without learning is worth nothing."""
    assert any("loss did not fall" in caution.doubt for caution in of(quiet(measurement), loss=3.0))


def test_fewer_blocks_than_asked_for_are_named(measurement):
    """After a time limit."""
    few = dataclasses.replace(
        quiet(measurement), rounds=tuple(r for r in measurement.rounds if r.block == 0)
    )
    found = cautions.of_measurement(few, PROTOCOL)
    assert [caution.figure for caution in found] == ["1 of 3"]


def test_a_case_that_gets_faster_within_its_blocks_is_named(measurement):
    """Its warm-up was too short."""
    calm = quiet(measurement)
    rounds = tuple(
        dataclasses.replace(r, seconds=r.seconds * (1.2 if r.role == "case" and r.pair < 2 else 1))
        for r in calm.rounds
    )
    found = cautions.of_measurement(dataclasses.replace(calm, rounds=rounds), PROTOCOL)
    assert len(found) == 1
    assert found[0].figure == "improved at batch 256: -17 %"


def test_costly_watching_is_named(measurement):
    """Over 1 % of a CPU."""
    calm = quiet(measurement)
    usage = Usage(readings=10, watched_seconds=10.0, watching_cpu_seconds=0.2)
    starts = tuple(dataclasses.replace(s, usage=usage) for s in calm.starts)
    found = cautions.of_measurement(dataclasses.replace(calm, starts=starts), PROTOCOL)
    (caution,) = found
    assert str(caution) == (
        "reading counters took time from the training (2.0 % of a CPU); "
        "compare only with runs watched alike"
    )


def test_another_optimizer_is_named(measurement):
    """It differs besides the model."""
    facts = dataclasses.replace(measurement.facts, optimizer="Adadelta")
    found = cautions.of_measurement(dataclasses.replace(quiet(measurement), facts=facts), PROTOCOL)
    assert [caution.figure for caution in found] == ["Adadelta against Adam"]


