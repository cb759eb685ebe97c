"""Each doubt appears when there is reason for it, and only then."""

import dataclasses

import pytest
from fakes import (
    FakeLauncher,
    busy_gpu,
    gpu_usage,
    protocol,
    runner_of,
    with_gpu_usage,
)

from harness.analyze import cautions
from harness.records import Case, Estimate, GpuReading, Surroundings, Usage

CASE = Case("improved", "mnist", 256, threads=2)
REFERENCE = Case("baseline", "mnist", 256, threads=2)
PROTOCOL = protocol(blocks=3, min_pairs=6, max_pairs=6)


@pytest.fixture
def measurement(tmp_path):
    runner = runner_of(tmp_path, FakeLauncher(), blocks=3, min_pairs=6, max_pairs=6)
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
    return dataclasses.replace(measurement, rounds=rounds, starts=starts, surroundings=())


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


@pytest.mark.parametrize(
    ("ended", "doubt"),
    [
        ("complete", "not all blocks fitted into the time limit"),
        ("interrupted", "the run was interrupted before all blocks"),
        ("decided", None),
    ],
)
def test_fewer_blocks_than_asked_for_are_named(measurement, ended, doubt):
    """With the reason, unless they were enough."""
    first = tuple(r for r in measurement.rounds if r.block == 0)
    few = dataclasses.replace(quiet(measurement), rounds=first, ended=ended)
    found = cautions.of_measurement(few, PROTOCOL)
    assert [(one.doubt, one.figure) for one in found] == ([(doubt, "1 of 3")] if doubt else [])


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


def on_gpu(measurement, **usage):
    """The case on a GPU, with these readings."""
    moved = dataclasses.replace(quiet(measurement), case=dataclasses.replace(CASE, device="gpu"))
    usual = Usage(readings=0, watched_seconds=0.0, watching_cpu_seconds=0.0)
    starts = tuple(dataclasses.replace(s, usage=usual) for s in moved.starts)
    return with_gpu_usage(
        dataclasses.replace(moved, starts=starts),
        gpu_usage(usage.pop("reading", busy_gpu), **usage),
    )


def test_a_quiet_gpu_gives_no_caution(measurement):
    """Silence means something."""
    assert cautions.of_measurement(on_gpu(measurement), PROTOCOL) == []


def test_other_processes_on_the_gpu_are_named(measurement):
    """Their kernels take turns with the worker's."""
    (caution,) = cautions.of_measurement(on_gpu(measurement, foreign=2), PROTOCOL)
    assert str(caution) == "other processes were on the GPU (2); end them and measure again"


def test_lowered_clocks_are_named_with_their_reason_and_share(measurement):
    """A power cap in more than a twentieth of the readings."""
    hot = on_gpu(measurement, reading=lambda s: GpuReading(throttle_reasons=4 if s < 2.5 else 0))
    (caution,) = cautions.of_measurement(hot, PROTOCOL)
    assert caution.doubt == "the GPU lowered its clocks"
    assert caution.figure == "power cap in 49 % of readings"
    rare = on_gpu(measurement, reading=lambda s: GpuReading(throttle_reasons=4 if s < 0.1 else 0))
    assert cautions.of_measurement(rare, PROTOCOL) == []


def test_a_gpu_that_stayed_hot_is_named(measurement):
    """The pause before its worker was as long as allowed."""
    moved = on_gpu(measurement)
    starts = tuple(dataclasses.replace(s, cool_down_seconds=60.0) for s in moved.starts)
    found = cautions.of_measurement(dataclasses.replace(moved, starts=starts), PROTOCOL)
    assert [c.doubt for c in found] == ["the GPU was still too hot after a pause"]


def test_another_way_of_multiplying_float32_is_named(measurement):
    """TF32 is less precise, and faster: not the device alone."""
    facts = dataclasses.replace(measurement.facts, float32_math="TF32")
    moved = dataclasses.replace(on_gpu(measurement), facts=facts)
    (caution,) = cautions.of_measurement(moved, PROTOCOL)
    assert caution.figure == "TF32 against float32"


def with_starts(m, **fields):
    """The comparison with other values of its starts: a function of the start, or the value."""
    starts = tuple(
        dataclasses.replace(
            s, **{name: of(s) if callable(of) else of for name, of in fields.items()}
        )
        for s in m.starts
    )
    return dataclasses.replace(quiet(m), starts=starts)


def test_other_kernels_in_another_process_are_named(measurement):
    """The two sides are different programs anyway; unknown ones say nothing."""
    same = with_starts(measurement, program=lambda s: str(s.role == "case"))
    assert cautions.of_measurement(same, PROTOCOL) == []
    other = with_starts(same, program=lambda s: f"{s.role == 'case'} {s.block % 2}")
    (caution,) = cautions.of_measurement(other, PROTOCOL)
    assert caution.doubt.startswith("the compiler chose other kernels in some workers")
    assert caution.figure == "2 programs"


def test_new_interpreters_in_place_of_forks_are_named(measurement):
    """Their starts include an import."""
    (caution,) = cautions.of_measurement(with_starts(measurement, spawned=True), PROTOCOL)
    assert caution.doubt.startswith("importing the framework initialized CUDA")


def test_a_step_compiled_on_one_side_is_named(measurement):
    """It is a change of its own."""
    facts = dataclasses.replace(measurement.facts, jit=True)
    found = cautions.of_measurement(dataclasses.replace(quiet(measurement), facts=facts), PROTOCOL)
    assert [c.doubt for c in found] == ["jit is on for one side only"]


CALM = Surroundings(0, "0,1", "0,1", 0, 0.0, 0.01)


@pytest.mark.parametrize(
    ("changes", "doubt", "figure"),
    [
        ({"other_runs": 2}, "another run of this harness was on the machine meanwhile", "2"),
        ({"suspended_seconds": 61.0}, "the machine was suspended meanwhile", "1 min 01 s"),
        ({"clock_step_seconds": -3600.0}, "the wall clock was set meanwhile", "60 min 00 s"),
        (
            {"cpus_after": "0"},
            "the CPUs that may be used changed meanwhile",
            "CPUs 0,1, then 0",
        ),
        (
            {"cpus_before": "0,1, quota 1.5", "cpus_after": "0,1, quota 1.5"},
            "the CPUs that may be used changed meanwhile",
            "CPUs 0,1, then 0,1, quota 1.5",
        ),
    ],
)
def test_what_changes_around_a_block_is_told(measurement, changes, doubt, figure):
    """Of the second block alone."""
    changed = dataclasses.replace(CALM, block=1, **changes)
    around = dataclasses.replace(quiet(measurement), surroundings=(CALM, changed))
    (caution,) = cautions.of_measurement(around, PROTOCOL)
    assert (doubt, figure) == (caution.doubt, caution.figure)


def test_surroundings_that_stay_or_are_not_known_are_not_told(measurement):
    """Nor is a clock that is slewed."""
    unknown = dataclasses.replace(CALM, suspended_seconds=None, clock_step_seconds=None)
    around = dataclasses.replace(quiet(measurement), surroundings=(CALM, CALM, unknown))
    assert cautions.of_measurement(around, PROTOCOL) == []


def test_a_case_that_differs_from_itself_has_a_caution(measurement):
    """By the interval that the tables show, which the other comparisons moderate."""
    itself = dataclasses.replace(measurement, case=measurement.reference)
    apart, around = Estimate(1.01, 1.005, 1.015, 3), Estimate(1.01, 0.99, 1.03, 3)
    (caution,) = cautions.noise_floor(itself, apart, PROTOCOL)
    assert caution.figure == "1.010×"
    assert not list(cautions.noise_floor(itself, around, PROTOCOL))
    assert not list(cautions.noise_floor(measurement, apart, PROTOCOL))


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"policy": "mixed_float16"}, "the precisions differ (mixed_float16 against None)"),
        ({"eager": True}, "run_eagerly is on for one side only (improved)"),
        ({"left_out_samples": 4}, "fill no batch of the size that the model fixes (4)"),
    ],
)
def test_what_a_user_s_model_sets_is_named(measurement, changed, text):
    """Where one side only has it, or the numbers are of fewer samples."""
    facts = dataclasses.replace(measurement.facts, **changed)
    found = quiet(dataclasses.replace(measurement, facts=facts))
    (caution,) = cautions.of_measurement(found, PROTOCOL)
    assert text in str(caution)


def test_parameters_that_moved_later_are_no_doubt(measurement):
    """As with gradients that are accumulated over several steps."""
    still = dataclasses.replace(measurement.facts, parameters_moved=False)
    found = quiet(dataclasses.replace(measurement, facts=still))
    assert "did not move" in str(cautions.of_measurement(found, PROTOCOL)[0])
    starts = tuple(dataclasses.replace(start, moved_later=True) for start in found.starts)
    moved = dataclasses.replace(found, starts=starts)
    assert cautions.of_measurement(moved, PROTOCOL) == []


def test_steps_that_become_faster_in_the_rounds_are_named(measurement):
    """The case's step time is no steady one then."""
    rounds = tuple(
        dataclasses.replace(r, seconds=r.seconds * (50 if r.role == "case" and r.pair < 2 else 1))
        for r in measurement.rounds
    )
    found = quiet(dataclasses.replace(measurement, rounds=rounds))
    said = [str(caution) for caution in cautions.of_measurement(found, PROTOCOL)]
    assert any("faster after the warm-up (improved at batch 256: 50 times)" in s for s in said)
