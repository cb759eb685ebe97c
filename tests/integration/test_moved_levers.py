"""Levers that are really moved: in real workers, with real TensorFlow."""

from pathlib import Path

import pytest
from samples import dataframe

from harness.commands.tune import Tuner
from harness.measure.machine.facts import usable_cpus
from harness.measure.workers.launcher import Launcher
from harness.records import Case, Measurement, to_json
from harness.workloads import levers

pytestmark = pytest.mark.slow

PLAIN = Case("improved", "synthetic", 32)


def opened(launcher, text):
    """A worker that has made its early steps, and what it answered."""
    worker = launcher.start(levers.change(PLAIN, text) if text else PLAIN, 300)
    case = to_json(levers.change(PLAIN, text) if text else PLAIN)
    return worker, worker.ask("open", case=case, cpus=usable_cpus(), early_steps=16)


def test_what_does_not_change_the_arithmetic_learns_the_same(launcher):
    """From the same weights and batches: the loss after equal steps, to float tolerance."""
    losses = {}
    for text in ("", "steps_per_execution=4", "steps_per_execution=8", "inter_op=1", "feed=slices"):
        worker, answer = opened(launcher, text)
        losses[text] = answer["start"]["early_loss"]
        launcher.end(worker)
    assert losses == pytest.approx(dict.fromkeys(losses, losses[""]), rel=1e-4)
    worker, answer = opened(launcher, "precision=mixed_bfloat16")
    assert answer["start"]["early_loss"] == pytest.approx(losses[""], rel=0.05)
    assert answer["start"]["early_loss"] != losses[""]
    launcher.end(worker)


def test_what_a_process_reads_at_its_start_has_a_server_of_its_own():
    """Its workers are forked from a process that had it in its environment."""
    with Launcher() as launcher:
        found = {}
        for text in ("malloc=hugepages", "onednn=off", "malloc=keep"):
            if levers.unavailable(text, PLAIN):
                continue
            worker, _ = opened(launcher, text)
            environ = Path(f"/proc/{worker.pid}/environ").read_bytes().decode().split("\0")
            found[text] = dict(e.partition("=")[::2] for e in environ)
            launcher.end(worker)
            assert len(launcher._servers) <= 3, "a framework each is too much memory for many"
    assert found["onednn=off"]["TF_ENABLE_ONEDNN_OPTS"] == "0"
    if "malloc=hugepages" in found:
        assert found["malloc=hugepages"]["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"


@pytest.mark.parametrize("feed", levers.find("feed").tried["tensorflow"])
def test_each_way_of_feeding_trains_an_epoch_of_the_same_samples(launcher, feed):
    """And its later samples have a time."""
    worker, _ = opened(launcher, f"feed={feed}+steps_per_execution=4")
    worker.ask("warm_up", seconds=0.1, floor_seconds=0.0)
    fit = worker.ask("fit", steps=12)["fit"]
    launcher.end(worker)
    assert (fit["steps"], fit["samples"], fit["first_steps"]) == (12, 12 * 32, 4)
    assert 0 < fit["first_step_seconds"] < fit["seconds"]


class FakeSession:
    """What a tuner needs of a session, over a runner."""

    def __init__(self, runner):
        self.runner = runner

    def measure(self, case, reference, wish):
        return self.runner.measure(case, reference, wish)

    def expect(self, comparisons):
        pass


def test_a_lever_is_measured_against_the_plain_case(make_runner):
    """By its steps, or where batches come another way by a fit; both with the losses."""
    runner = make_runner("default")  # quick effort compares no losses
    tuner = Tuner(FakeSession(runner), PLAIN, ["tf32=off"])
    for lever in ("steps_per_execution=4", "feed=cached"):
        assert isinstance(tuner.alone(lever), Measurement)
    tuner.stack()
    rows = {row["lever"]: row for row in dataframe(runner.save(), "levers").to_dict("records")}
    assert rows["feed"]["compared_by"] == "fit"
    assert rows["steps_per_execution"]["compared_by"] == "steps"
    assert abs(rows["steps_per_execution"]["loss_difference"]) < 1e-4
    assert rows["feed"]["loss"] > 0
    assert rows["tf32"]["reason"] == "only on GPUs"
