"""The search for batch sizes."""

import dataclasses

import pytest
from fakes import FakeGpu, FakeLauncher, Silent, protocol, runner_of
from samples import drawn, text_table

from harness.measure.search import search
from harness.measure.side import Setup
from harness.records import Case

CASE = Case("mine.py:build", "fitted", 8, threads=2)
MIB = 2**20


def searched(sample_seconds, samples=60_000, memory_mib=10**6, launcher=None):
    """Search with workers of such a speed; the fake needs 1 MiB a sample."""
    launcher = launcher or FakeLauncher(sample_seconds)
    observer = Silent()
    found = search(
        CASE,
        samples=samples,
        memory_bytes=memory_mib * MIB,
        setup=Setup(protocol(), launcher, FakeGpu(name=None), [0, 1]),
        on_size=observer.on_size,
    )
    launcher.close()
    assert len(observer.sizes) == len(found.probes)
    return found


def test_it_doubles_until_throughput_stops_growing():
    """Twice in a row: one noisy reading does not end it."""
    found = searched(lambda case: 1e-3 if case.batch_size >= 32 else 1e-2)
    assert [p.batch_size for p in found.probes] == [8, 16, 32, 64, 128]
    assert "less than 2 %" in found.ended
    assert found.chosen == (32, 64, 128)


def test_what_is_far_slower_than_the_best_is_tried_and_not_measured():
    """The fastest comes first: it is what the others are compared with."""
    found = searched(lambda case: 1 / case.batch_size, samples=64)
    assert [p.batch_size for p in found.probes] == [8, 16, 32, 64]
    assert found.chosen == (64,)
    assert "64 samples" in found.ended


def test_a_size_that_does_not_fit_is_kept_with_its_reason():
    """And nothing larger is tried."""
    found = searched(lambda case: 1 / case.batch_size, memory_mib=40)
    assert [(p.batch_size, p.status) for p in found.probes] == [
        (8, "fits"),
        (16, "fits"),
        (32, "fits"),
        (64, "oom"),
    ]
    assert "would not fit" in found.probes[-1].message
    assert found.ended == "batch 64 failed (oom)"


def test_it_goes_down_where_the_first_size_does_not_fit():
    """Until one does."""
    found = searched(lambda case: 1e-3, memory_mib=3)
    assert [(p.batch_size, p.status) for p in found.probes] == [
        (2, "fits"),
        (4, "oom"),
        (8, "oom"),
    ]
    assert found.chosen == (2,)


def test_a_step_of_many_seconds_ends_it():
    """A user who wants larger ones names them."""
    found = searched(lambda case: 1.0)
    assert found.ended.startswith("a step of batch 16 takes")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("killed", "the worker was ended by SIGABRT during 'open'"),
        ("timeout", "silent for 300 s during 'open'"),
        ("error", "the worker exited with 127 during 'open'"),
    ],
)
def test_a_worker_that_ends_near_the_limit_ran_out_of_memory(kind, message):
    """Some libraries cannot say it."""
    ended = FakeLauncher(lambda case: 1 / case.batch_size)
    sized = dataclasses.replace(CASE, batch_size=16)
    ended.failures[sized.id] = (kind, message, "terminate called")
    found = searched(None, memory_mib=50, launcher=ended)
    assert found.probes[-1].status == "oom"
    assert message in found.probes[-1].message


def test_another_failure_is_not_taken_for_memory():
    """It keeps its kind."""
    broken = FakeLauncher(lambda case: 1 / case.batch_size)
    broken.failures[CASE.id] = ("error", "ValueError: no", "")
    found = searched(None, launcher=broken)
    assert [(p.status, p.message) for p in found.probes] == [("error", "ValueError: no")]
    assert found.chosen == ()


def run_of_searches(folder):
    """Two searches: one ends at the memory, the other fails at once."""
    launcher = FakeLauncher(lambda case: 1 / case.batch_size)
    other = dataclasses.replace(CASE, variant="other.py:build")
    launcher.failures[other.id] = ("error", "ValueError: no", "")
    runner = runner_of(folder, launcher)
    for case in (CASE, other):
        runner.search(case, 60_000, 400 * MIB)
    return runner.save()


def test_a_search_is_a_table_with_what_ended_it(tmp_path):
    """And with the reason of each size that failed."""
    run = run_of_searches(tmp_path)
    shown = text_table(run, "batch_size_search")
    found = shown.columns.index("found")
    assert [row[found] for row in shown.rows] == ["fits"] * 6 + ["oom", "error"]
    notes = "\n".join(shown.notes)
    assert "ended because batch 512 failed (oom); the largest that fits" in notes
    assert "batch 512: oom" in notes
    assert "ValueError: no" in notes


def test_a_search_is_drawn_with_what_it_reached(tmp_path):
    """Throughput above; below memory, a cross where it ran out, and what there was."""
    run = run_of_searches(tmp_path)
    figure = drawn(run, "batch_size_search")
    above, below = figure.axes
    throughput, measured, *_ = above.lines
    assert list(throughput.get_xdata())[:3] == [8, 16, 32]
    assert list(throughput.get_ydata())[:3] == pytest.approx([8, 16, 32])
    assert list(measured.get_xdata()) == list(run.searches[0].chosen), "filled"
    assert "oom" in {text.get_text().strip() for text in below.texts}
    assert any(text.get_text().startswith("memory: 400 MiB") for text in below.texts)
