"""The runner over fake workers: outcomes, journal, resume, time limit."""

import dataclasses
import json

import pytest
from fakes import MACHINE, FakeClock, FakeGpu, FakeLauncher, Silent, protocol, runner_of

from harness.analyze import stats
from harness.errors import BadCase, BadRun
from harness.measure.budget import Budget
from harness.measure.case_checks import check_case
from harness.records import Case, Failure, Measurement, run_file
from harness.records import folders as runs
from harness.records.resume import ResumedRun

SMALL = Case("baseline", "synthetic", 256)
LARGE = Case("baseline", "synthetic", 1024)


def make_runner(folder, launcher, blocks=2, **changes):
    return runner_of(folder, launcher, blocks=blocks, **changes)


def test_equal_fake_durations_give_exactly_one(tmp_path):
    """No difference, no doubt."""
    runner = make_runner(tmp_path, FakeLauncher(), blocks=3)
    estimate = stats.speedup(runner.measure(LARGE, SMALL))
    assert pytest.approx((estimate.value, estimate.low, estimate.high)) == (1.0, 1.0, 1.0)


def test_a_known_ratio_is_found(tmp_path):
    """A case that takes 2 ms a sample against 3 ms is 1.5 times as fast."""
    launcher = FakeLauncher(lambda case: 2e-3 if case == LARGE else 3e-3)
    assert stats.speedup(make_runner(tmp_path, launcher).measure(LARGE, SMALL)).value == (
        pytest.approx(1.5)
    )


def test_a_comparison_is_measured_once(tmp_path):
    """Several suites may ask for it."""
    launcher = FakeLauncher()
    runner = make_runner(tmp_path, launcher)
    first = runner.measure(LARGE, SMALL)
    rounds = launcher.rounds
    assert runner.measure(LARGE, SMALL) is first
    assert launcher.rounds == rounds


def test_every_block_has_fresh_workers_and_none_is_left(tmp_path):
    """Two blocks, each with the case and twice the reference: six workers."""
    launcher = FakeLauncher()
    make_runner(tmp_path, launcher).measure(LARGE, SMALL)
    assert launcher.asked.count("open") == 6
    assert launcher.running == 0


def test_the_rounds_of_a_case_last_about_as_long_as_those_of_its_reference(tmp_path):
    """The reference takes four steps where the case takes one of four times the size."""
    launcher = FakeLauncher(lambda case: 1e-4)
    outcome = make_runner(tmp_path, launcher, max_pairs=5).measure(LARGE, SMALL)
    assert (outcome.steps, outcome.reference_steps) == (1, 4)


def test_steps_are_exact_when_asked_for(tmp_path):
    """On both sides."""
    outcome = make_runner(tmp_path, FakeLauncher(), steps=3).measure(LARGE, SMALL)
    assert {a_round.steps for a_round in outcome.rounds} == {3}


def test_a_failure_is_a_result_and_the_next_case_runs(tmp_path):
    """With its kind and message, and in run.json."""
    launcher = FakeLauncher(failures={LARGE.id: ("oom", "out of memory at 22.9 GiB", "log")})
    runner = make_runner(tmp_path, launcher)
    failure = runner.measure(LARGE, SMALL)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.message) == ("oom", "out of memory at 22.9 GiB")
    assert isinstance(runner.measure(SMALL, SMALL), Measurement)
    assert launcher.running == 0
    assert runs.read(tmp_path) == runs.read(tmp_path)
    assert [type(o) for o in runs.read(tmp_path).outcomes] == [Failure, Measurement]


def test_a_failed_reference_is_not_blamed_on_the_case(tmp_path):
    """The row of the case says which side it was."""
    launcher = FakeLauncher(failures={SMALL.id: ("oom", "memory ran out", "")})
    failure = make_runner(tmp_path, launcher).measure(LARGE, SMALL)
    assert f"the reference {SMALL.id} failed: memory ran out" == failure.message


def test_what_a_failed_worker_printed_is_in_a_log_that_is_named(tmp_path):
    """The observer gets its path."""
    launcher = FakeLauncher(failures={LARGE.id: ("error", "it broke", "a line of the model")})
    observer = Silent()
    runner = make_runner(tmp_path, launcher, observer=observer)
    runner.measure(SMALL, SMALL)
    runner.measure(LARGE, SMALL)
    log = tmp_path / "failures.log"
    assert [None, log] == observer.logs
    assert f"== {LARGE.id}: error: it broke\na line of the model\n" == log.read_text()


def test_each_round_is_in_the_journal_before_the_next(tmp_path):
    """An interrupt loses nothing that was measured."""
    launcher = FakeLauncher()
    launcher.interrupt_at_round = 4
    with pytest.raises(KeyboardInterrupt):
        make_runner(tmp_path, launcher).measure(LARGE, SMALL)
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "journal.jsonl").open()]
    assert kinds == ["run", "round", "round", "round"]
    assert launcher.running == 0


def test_resume_keeps_blocks_and_measurements_and_retries_failures(tmp_path):
    """Only what is missing is measured."""
    broken = FakeLauncher(failures={LARGE.id: ("error", "it broke", "")})
    runner = make_runner(tmp_path, broken)
    kept = runner.measure(SMALL, SMALL)
    runner.measure(LARGE, SMALL)
    runner.close()

    launcher = FakeLauncher()
    launcher.interrupt_at_round = 8
    runner = make_runner(tmp_path, launcher)
    with pytest.raises(KeyboardInterrupt):
        runner.measure(LARGE, SMALL)
    runner.close()

    launcher = FakeLauncher()
    resumed = make_runner(tmp_path, launcher)
    assert resumed.measure(SMALL, SMALL) == kept
    assert launcher.rounds == 0
    outcome = resumed.measure(LARGE, SMALL)
    assert launcher.rounds == 6, "the first block's six rounds were kept"
    assert len(outcome.rounds) == 12


def test_a_run_is_resumed_with_the_same_protocol_only(tmp_path):
    """Times of two protocols are not to be mixed."""
    make_runner(tmp_path, FakeLauncher()).close()
    with pytest.raises(BadRun, match="another protocol"):
        make_runner(tmp_path, FakeLauncher(), fit_seconds=3.0)


def test_a_run_of_an_earlier_protocol_is_not_resumed(tmp_path):
    """One line says which versions they are."""
    make_runner(tmp_path, FakeLauncher(), version=1).close()
    with pytest.raises(BadRun, match=r"by version 1 of the protocol, .* by version 2"):
        make_runner(tmp_path, FakeLauncher())


def test_a_resumed_run_keeps_its_number_of_blocks(tmp_path):
    """Though as many comparisons as are resumed would have others."""
    make_runner(tmp_path, FakeLauncher(), blocks=6, looks=(3, 4)).close()
    resumed = make_runner(tmp_path, FakeLauncher(), blocks=4)
    assert (resumed.run().protocol.blocks, resumed.run().protocol.looks) == (6, (3, 4))


def test_another_timeout_is_no_other_protocol(tmp_path):
    """It is what one changes after a case was silent too long."""
    make_runner(tmp_path, FakeLauncher()).close()
    ResumedRun.read(tmp_path).check(tmp_path, protocol(timeout_seconds=900.0), MACHINE)


def test_a_journal_of_another_version_is_one_line(tmp_path):
    """Not a traceback."""
    (tmp_path / "journal.jsonl").write_text('{"kind": "outcome", "outcome": {}}\n')
    with pytest.raises(BadRun, match="damaged or has another schema"):
        ResumedRun.read(tmp_path).check(tmp_path, protocol(), MACHINE)


def test_a_failure_that_is_not_tried_again_stays_in_the_run(tmp_path):
    """Resuming a part of a run loses nothing of the rest."""
    broken = FakeLauncher(failures={LARGE.id: ("error", "it broke", "")})
    runner = make_runner(tmp_path, broken)
    runner.measure(LARGE, SMALL)
    runner.close()
    resumed = make_runner(tmp_path, FakeLauncher())
    resumed.measure(SMALL, SMALL)
    assert [type(o) for o in resumed.run().outcomes] == [Failure, Measurement]


@pytest.mark.parametrize("changes", [{"id": "other"}, {"libraries": {"keras": "3.0.0"}}])
def test_a_run_is_resumed_where_it_was_measured_only(tmp_path, changes):
    """The same machine, the same versions."""
    make_runner(tmp_path, FakeLauncher()).close()
    moved = dataclasses.replace(MACHINE, **changes)
    with pytest.raises(BadRun, match="another machine or with other versions"):
        ResumedRun.read(tmp_path).check(tmp_path, protocol(), moved)


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path):
    """One line, before anything is measured."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRun, match="cannot write to"):
        make_runner(tmp_path / "file" / "run", FakeLauncher())


def test_a_time_limit_drops_blocks_but_no_case(tmp_path):
    """Two comparisons share what is left of the limit."""
    clock = FakeClock()
    budget = Budget(10.0, comparisons=2, clock=clock)
    launcher = FakeLauncher()
    runner = make_runner(tmp_path, launcher, budget=budget, blocks=6)
    clock.sleep(20.0)
    for case in (SMALL, LARGE):
        assert {r.block for r in runner.measure(case, SMALL).rounds} == {0}


def test_two_runs_never_share_a_folder(tmp_path):
    """Not even when they start in the same second."""
    folders = [runs.new_run_folder(tmp_path) for _ in range(3)]
    assert len(set(folders)) == 3
    assert folders == sorted(folders)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "at least 1"),
        ({"batch_size": -1}, "at least 1"),
        ({"batch_size": 60_001}, "larger than the dataset"),
        ({"threads": 0}, "at least 1"),
        ({"threads": 3}, "may use 2 CPUs"),
        ({"device": "tpu"}, "known: cpu, gpu"),
        ({"device": "gpu"}, "there is none"),
    ],
)
def test_a_case_that_no_worker_could_train_is_refused(changes, message):
    """Before a worker is started."""
    case = Case(**{"variant": "baseline", "dataset": "mnist", "batch_size": 256, **changes})
    with pytest.raises(BadCase, match=message):
        check_case(case, train_samples=60_000, cpus=2, gpu=FakeGpu(name=None))


def test_the_run_is_in_its_file_after_each_comparison(tmp_path):
    """A run that is killed has a report of all that it finished."""
    runner = make_runner(tmp_path, FakeLauncher())
    for number, case in enumerate((SMALL, LARGE), start=1):
        runner.measure(case, SMALL)
        assert number == len(runs.read(tmp_path).outcomes)


def test_a_comparison_is_written_out_once(tmp_path, monkeypatch):
    """Though the file is saved again after each one that follows."""
    written, line = [], run_file.line
    monkeypatch.setattr(run_file, "line", lambda o: written.append(o.key) or line(o))
    runner = make_runner(tmp_path, FakeLauncher())
    for case in (SMALL, LARGE):
        runner.measure(case, SMALL)
    runner.save()
    assert len(written) == len(set(written)) == 2


def test_a_failure_that_is_mended_is_replaced_in_the_file(tmp_path):
    """By what was measured."""
    broken = FakeLauncher(failures={LARGE.id: ("error", "it broke", "")})
    runner = make_runner(tmp_path, broken)
    runner.measure(LARGE, SMALL)
    runner.close()
    make_runner(tmp_path, FakeLauncher()).measure(LARGE, SMALL)
    assert [Measurement] == [type(o) for o in runs.read(tmp_path).outcomes]
