"""Groups over fake workers: one reference, its cases, and what happens to each of them."""

import dataclasses
from collections import Counter

import pytest
from fakes import FakeClock, FakeGpu, FakeLauncher, Silent, runner_of

from harness.analyze import rounds, stats, verdicts
from harness.measure import block, side
from harness.measure.budget import Budget
from harness.measure.group import NO_WISH, Wish
from harness.measure.machine.cooling import Cooling
from harness.measure.machine.sampler import Sampler
from harness.measure.workers.worker_process import HostLost, WorkerFailed
from harness.records import Case, Failure, GpuReading, Measurement
from harness.workloads import levers

REFERENCE = Case("baseline", "synthetic", 64)
CASES = [Case("baseline", "synthetic", size) for size in (128, 256, 512)]


def measure(folder, launcher, cases=CASES, reference=REFERENCE, screened=(), **changes):
    runner = runner_of(folder, launcher, len(cases), blocks=changes.pop("blocks", 2), **changes)
    try:
        runner.measure_group({(c, reference): Wish(screened=c in screened) for c in cases})
    finally:
        runner.close()
    return {outcome.case: outcome for outcome in runner.run().outcomes}


def test_a_block_has_a_worker_per_case_and_two_of_the_reference(tmp_path):
    """All alive at once."""
    launcher = FakeLauncher()
    measure(tmp_path, launcher)
    assert launcher.asked.count("open") == 2 * (3 + 2)
    assert launcher.most_running == 5
    assert launcher.running == 0


def test_every_case_has_its_true_speedup(tmp_path):
    """Over both references."""
    launcher = FakeLauncher(lambda case: 1e-4 * (1 if case == REFERENCE else case.batch_size / 64))
    found = measure(tmp_path, launcher)
    speedups = [stats.speedup(found[case]).value for case in CASES]
    assert speedups == pytest.approx([1 / 2, 1 / 4, 1 / 8])


def test_the_reference_against_itself_costs_no_worker(tmp_path):
    """One of its two workers is the case."""
    launcher = FakeLauncher()
    found = measure(tmp_path, launcher, [REFERENCE, *CASES])
    assert launcher.asked.count("open") == 2 * (3 + 2)
    itself = found[REFERENCE]
    assert {r.role for r in itself.rounds} == {"case", "reference"}
    assert stats.speedup(itself).value == pytest.approx(1.0)


def test_a_worker_that_several_comparisons_share_counts_once(tmp_path):
    """Two workers of the reference in each block, whatever the number of cases."""
    launcher = FakeLauncher()
    runner = runner_of(tmp_path, launcher, blocks=2)
    runner.measure_group({(case, REFERENCE): NO_WISH for case in [REFERENCE, *CASES]})
    workers = rounds.workers_of(runner.run().outcomes)
    assert [len(block) for block in workers[REFERENCE].values()] == [2, 2]
    assert [len(block) for block in workers[CASES[0]].values()] == [1, 1]


def test_each_block_starts_with_another_worker(tmp_path):
    """So that no case always starts first."""
    launcher = FakeLauncher()
    found = measure(tmp_path, launcher, blocks=5)
    places = [start.place for start in found[CASES[0]].starts if start.role == "case"]
    assert sorted(places) == [0, 1, 2, 3, 4]


def test_a_case_that_fails_is_a_row_and_the_others_go_on(tmp_path):
    """Whenever it fails."""
    broken = CASES[1]
    launcher = FakeLauncher(failures={broken.id: ("oom", "memory ran out", "")})
    found = measure(tmp_path, launcher)
    assert isinstance(found[broken], Failure)
    assert found[broken].kind == "oom"
    assert [type(found[case]) for case in (CASES[0], CASES[2])] == [Measurement] * 2
    assert launcher.running == 0


class FailsLate(FakeLauncher):
    """The worker of one case fails in some of its rounds, by default the third."""

    def __init__(self, case, rounds=(3,), error=None):
        super().__init__()
        self._broken, self._rounds, self._failing = case, 0, rounds
        self._error = error or WorkerFailed("diverged", "the loss is nan")

    def start(self, case, timeout):
        worker = super().start(case, timeout)
        if case == self._broken:
            plain = worker.ask

            def ask(command, **arguments):
                self._rounds += command == "round"
                if command == "round" and self._rounds in self._failing:
                    raise self._error
                return plain(command, **arguments)

            worker.ask = ask
        return worker


def test_a_case_that_fails_in_its_rounds_leaves_the_block(tmp_path):
    """The rounds of the others of that block count."""
    launcher = FailsLate(CASES[0])
    found = measure(tmp_path, launcher, blocks=2)
    assert (found[CASES[0]].kind, found[CASES[0]].message) == ("diverged", "the loss is nan")
    assert {r.block for r in found[CASES[1]].rounds} == {0, 1}
    assert launcher.running == 0


@pytest.mark.parametrize(("rounds", "measured"), [((3,), True), ((1, 2), False)])
def test_a_block_whose_host_was_lost_is_measured_again_once(tmp_path, rounds, measured):
    """A comparison that loses a host for the second time fails; the others have all blocks."""
    launcher = FailsLate(CASES[0], rounds, HostLost("killed", "host 1 (b) is lost"))
    found = measure(tmp_path, launcher, blocks=2)
    if measured:
        assert {r.block for r in found[CASES[0]].rounds} == {0, 1}
    else:
        assert found[CASES[0]].message == "host 1 (b) is lost"
    assert {r.block for r in found[CASES[1]].rounds} == {0, 1}
    assert launcher.running == 0


def test_a_failure_of_the_reference_is_one_of_every_case(tmp_path):
    """With the name of the reference, but for the reference itself."""
    launcher = FakeLauncher(failures={REFERENCE.id: ("error", "it broke", "")})
    found = measure(tmp_path, launcher, [REFERENCE, *CASES])
    assert found[REFERENCE].message == "it broke"
    assert {found[case].message for case in CASES} == {
        f"the reference {REFERENCE.id} failed: it broke"
    }


def test_a_case_of_too_slow_steps_is_measured_alone(tmp_path):
    """Its rounds would lie far from those that they are compared with."""
    slow = CASES[2]
    launcher = FakeLauncher(lambda case: 1e-3 * (100 if case == slow else 1))
    found = measure(tmp_path, launcher)
    assert stats.speedup(found[slow]).value == pytest.approx(0.01)
    workers = {case: {s.workers for s in found[case].starts} for case in CASES}
    assert workers == {CASES[0]: {4}, CASES[1]: {4}, slow: {3}}


def test_a_case_that_is_tried_times_a_fit_only_if_that_is_compared(tmp_path):
    """The reference always does, so that its epoch is known."""
    fed = levers.change(REFERENCE, "feed=slices")
    cases = [*CASES[:2], fed]
    found = measure(tmp_path, FakeLauncher(), cases, screened=[CASES[0], fed])
    timed = {
        (case, role): {s.fit is not None for s in found[case].starts if s.role == role}
        for case in cases
        for role in ("case", "reference")
    }
    assert {key for key, its in timed.items() if its == {False}} == {(CASES[0], "case")}
    assert all(len(its) == 1 for its in timed.values())


class HalfOfTheRounds(Budget):
    """Leaves time for half of the rounds after the first block."""

    def blocks(self, wanted, block_seconds, round_seconds, comparisons=1):
        return wanted, 0.5


def test_a_time_limit_shortens_the_later_blocks_on_both_sides(tmp_path):
    """The case and its reference keep as many rounds as each other."""
    budget = HalfOfTheRounds(None, 3, FakeClock())
    found = measure(tmp_path, FakeLauncher(), budget=budget, max_pairs=8)
    counts = Counter((r.role, r.block) for r in found[CASES[0]].rounds)
    first = counts["case", 0]
    assert first > 1
    assert set(counts.values()) == {first, first // 2}
    assert counts["case", 1] == counts["reference", 1] == first // 2


def test_an_interrupt_keeps_the_blocks_of_a_case_that_is_measured_alone(tmp_path):
    """As those of a group."""
    slow = CASES[2]
    launcher = FakeLauncher(lambda case: 1e-3 * (100 if case == slow else 1))
    runner = runner_of(tmp_path, launcher, 3, blocks=2)
    launcher.interrupt_at_round = 25
    with pytest.raises(KeyboardInterrupt):
        runner.measure_group({(case, REFERENCE): NO_WISH for case in CASES})
    found = {outcome.case: outcome for outcome in runner.run().outcomes}
    assert {start.block for start in found[slow].starts} == {0}


def test_an_observer_sees_the_run_after_each_block_and_the_end_of_the_group(tmp_path):
    """With the comparisons whose blocks are not complete."""
    seen = Silent()
    measure(tmp_path, FakeLauncher(), observer=seen)
    shown = [[len({r.block for r in o.rounds}) for o in run.outcomes] for run in seen.runs]
    assert shown == [[1, 1, 1], [2, 2, 2]]
    assert seen.ended == 1


def test_cases_that_find_no_memory_follow_in_a_block_of_their_own(tmp_path, monkeypatch):
    """Each has as many blocks as the others."""
    monkeypatch.setattr(block, "memory_available", lambda: 0)
    launcher = FakeLauncher()
    found = measure(tmp_path, launcher)
    assert launcher.most_running == 3, "one case and both workers of the reference"
    assert {len({r.block for r in found[case].rounds}) for case in CASES} == {2}


def test_a_group_is_resumed_to_the_block(tmp_path):
    """Even as another group: only the blocks that a case lacks are measured."""
    launcher = FakeLauncher()
    launcher.interrupt_at_round = 3 * 5 * 2  # in the last block of three
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, launcher, blocks=3)
    launcher = FakeLauncher()
    found = measure(tmp_path, launcher, CASES[:2], blocks=3)
    assert launcher.asked.count("open") == 2 + 2
    assert {len({r.block for r in found[case].rounds}) for case in CASES[:2]} == {3}
    numbers = [s.group_block for s in found[CASES[0]].starts if s.role == "case"]
    assert len(set(numbers)) == 3, "a block of the resumed run has a number of its own"


def test_where_a_gpu_is_used_one_worker_ends_before_the_next_begins(tmp_path):
    """The reference has one, for all cases."""
    cases = [dataclasses.replace(case, device="gpu") for case in CASES]
    launcher = FakeLauncher()
    found = measure(tmp_path, launcher, cases)
    assert launcher.asked.count("open") == 2 * (3 + 1)
    assert launcher.most_running == 1
    assert stats.speedup(found[cases[0]]).value == pytest.approx(1.0)


class Heated(FakeGpu):
    """A GPU that each worker leaves ten degrees hotter, and that cools by one per reading."""

    def __init__(self):
        super().__init__()
        self.celsius = 30.0

    def read(self):
        self.celsius = max(30.0, self.celsius - 1.0)
        return GpuReading(temperature_celsius=self.celsius)

    def near(self, cpus):
        return list(reversed(cpus))


class Heating(FakeLauncher):
    def __init__(self, gpu):
        super().__init__()
        self.gpu = gpu

    def end(self, worker):
        self.gpu.celsius += 10.0
        super().end(worker)


def on_a_gpu(folder, monkeypatch):
    """Two blocks of a case on a GPU that gets hot: the outcome, and the launcher."""
    gpu, clock = Heated(), FakeClock()
    launcher = Heating(gpu)
    monkeypatch.setattr(side, "Sampler", lambda pid, gpu: Sampler(pid, None))
    monkeypatch.setattr(block, "Cooling", lambda: Cooling(clock, clock.sleep))
    monkeypatch.setattr(side, "Cooling", lambda: Cooling(clock, clock.sleep))
    case, reference = (dataclasses.replace(one, device="gpu") for one in (CASES[0], REFERENCE))
    runner = runner_of(folder, launcher, 1, blocks=2, gpu=gpu)
    runner._setup = dataclasses.replace(runner._setup, cpus=[3, 5])
    try:
        return runner.measure(case, reference), launcher
    finally:
        runner.close()


def test_a_worker_waits_until_the_gpu_is_as_cool_as_at_the_begin_of_its_block(
    tmp_path, monkeypatch
):
    """And not as at the begin of the run, after which every worker would wait."""
    found, _ = on_a_gpu(tmp_path, monkeypatch)
    waited = {(s.group_block, s.place): s.cool_down_seconds for s in found.starts}
    assert (waited[0, 0], waited[1, 0]) == (0.0, 0.0)
    assert min(waited[0, 1], waited[1, 1]) >= 5.0


def test_a_worker_on_a_gpu_takes_the_cpus_near_it(tmp_path, monkeypatch):
    """In the order that the GPU gives them."""
    _, launcher = on_a_gpu(tmp_path, monkeypatch)
    assert launcher.cpus == [[5, 3]] * 4


def test_the_rates_of_a_kind_of_worker_are_found_once_per_block(tmp_path):
    """A matrix product is as fast for each batch size; with other threads it is not."""
    other = dataclasses.replace(CASES[0], threads=2)
    launcher = FakeLauncher()
    measure(tmp_path, launcher, [*CASES, other], blocks=1)
    assert launcher.asked.count("product_rate") == 2


def test_one_outcome_is_shown_per_case(tmp_path):
    """As soon as its last block is done."""
    observer = Silent()
    measure(tmp_path, FakeLauncher(), observer=observer)
    assert [outcome.case for outcome in observer.outcomes] == CASES
    assert [comparison[0] for comparison in observer.comparisons] == CASES


def test_the_states_of_a_ladder_share_their_workers(tmp_path):
    """Each is the case of one comparison and the reference of the next."""
    states = [REFERENCE, *CASES]
    launcher = FakeLauncher(lambda case: 1e-4 * case.batch_size / 64)
    runner = runner_of(tmp_path, launcher, blocks=2)
    runner.measure_group(dict.fromkeys(zip(states[1:], states[:-1], strict=True), NO_WISH))
    assert launcher.asked.count("open") == 2 * (4 + 1)
    speedups = [stats.speedup(outcome).value for outcome in runner.run().outcomes]
    assert speedups == pytest.approx([1 / 2] * 3)


def test_a_failure_takes_only_its_own_comparisons_with_it(tmp_path):
    """The next state of a ladder has lost its reference; the one after has not."""
    states = [REFERENCE, *CASES]
    launcher = FakeLauncher(failures={CASES[0].id: ("error", "it broke", "")})
    runner = runner_of(tmp_path, launcher, blocks=2)
    runner.measure_group(dict.fromkeys(zip(states[1:], states[:-1], strict=True), NO_WISH))
    found = {outcome.case: outcome for outcome in runner.run().outcomes}
    assert found[CASES[0]].message == "it broke"
    assert found[CASES[1]].message == f"the reference {CASES[0].id} failed: it broke"
    assert isinstance(found[CASES[2]], Measurement)


LOOKS = {"blocks": 6, "looks": (3, 4)}


def test_a_comparison_ends_at_the_look_that_decides_it(tmp_path):
    """Its interval is that of an early look, wider than one of 95 %."""
    launcher = FakeLauncher(lambda case: 1e-4 * case.batch_size)
    found = measure(tmp_path, launcher, is_decided=verdicts.is_decided, **LOOKS)
    assert {len(m.surroundings) for m in found.values()} == {3}
    assert {(m.confidence, m.ended) for m in found.values()} == {(0.99, "decided")}
    assert {stats.speedup(m).confidence for m in found.values()} == {0.99}


def test_an_undecided_comparison_goes_on_alone(tmp_path):
    """To the last look, whose interval is the narrowest."""
    found = measure(tmp_path, FakeLauncher(), is_decided=lambda m: m.case != CASES[1], **LOOKS)
    assert [len(found[case].surroundings) for case in CASES] == [3, 6, 3]
    assert [found[case].confidence for case in CASES] == pytest.approx([0.99, 0.97, 0.99])
    assert found[CASES[1]].ended == "complete"


def test_a_case_against_itself_decides_nothing(tmp_path):
    """It follows the others, and has all blocks where there are none."""
    decided = {"is_decided": lambda m: m.case != m.reference}
    both = measure(tmp_path / "both", FakeLauncher(), [REFERENCE, CASES[0]], **decided, **LOOKS)
    assert len(both[REFERENCE].surroundings) == 3
    alone = measure(tmp_path / "alone", FakeLauncher(), [REFERENCE], **decided, **LOOKS)
    assert len(alone[REFERENCE].surroundings) == 6


def test_a_look_is_taken_once_that_many_blocks_are_there_and_never_between(tmp_path):
    """Decided after two blocks or after five, it ends after three or six."""
    seen = []

    def is_decided(m):
        seen.append(len(m.surroundings))
        return len(m.surroundings) == 5

    measure(tmp_path, FakeLauncher(), CASES[:1], is_decided=is_decided, **LOOKS)
    assert seen == [3, 4]


def test_a_screened_case_ends_after_a_hopeless_first_block(tmp_path):
    """The others go on, and so does one that is not screened."""
    launcher = FakeLauncher(lambda case: 1e-4 * (1.3 if case.batch_size > 64 else 1))
    found = measure(
        tmp_path,
        launcher,
        screened=[CASES[1]],
        blocks=3,
        is_hopeless=lambda m: m.case.batch_size > 64,
    )
    assert [len(found[case].surroundings) for case in CASES] == [3, 1, 3]
    assert [found[case].ended for case in CASES] == ["complete", "screened", "complete"]


def test_a_screened_case_that_may_be_faster_is_measured_in_full(tmp_path):
    """Only what cannot be faster is left out."""
    hopeless = {"is_hopeless": verdicts.is_hopeless}
    found = measure(tmp_path, FakeLauncher(), screened=CASES, blocks=3, **hopeless)
    assert {m.ended for m in found.values()} == {"complete"}


def test_only_a_comparison_that_asks_for_early_losses_trains_for_them(tmp_path):
    """Its reference does, too, and both report the same number of steps."""
    runner = runner_of(tmp_path, FakeLauncher(), blocks=2, effort="default")
    asked, other = ((case, REFERENCE) for case in CASES[:2])
    runner.measure_group({asked: Wish(early_steps=32), other: NO_WISH})
    starts = {
        m.case: {s.role: s.early_steps for s in m.starts if not s.block}
        for m in runner.run().outcomes
    }
    assert starts[CASES[0]] == {"case": 32, "reference": 32, "second": None}
    assert starts[CASES[1]]["case"] is None


def test_quick_effort_trains_for_no_early_losses_of_settings(tmp_path):
    """It judges none. One block has no interval, so one worker of the reference is enough."""
    launcher = FakeLauncher()
    runner = runner_of(tmp_path, launcher, blocks=1, effort="quick")
    runner.measure_group({(case, REFERENCE): Wish(32, screened=True) for case in CASES})
    assert {s.early_steps for m in runner.run().outcomes for s in m.starts} == {None}
    assert launcher.asked.count("open") == 3 + 1
