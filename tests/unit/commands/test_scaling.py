"""Several devices and hosts: what is compared, and how it is shown."""

import dataclasses

import pytest
from fakes import FakeLauncher, runner_of
from samples import dataframe, drawn, text_table

from harness.analyze import roles
from harness.analyze.analysis import Analysis
from harness.errors import HarnessError
from harness.measure.case_checks import check_case
from harness.measure.group import Wish
from harness.measure.machine.gpu import NoGpu
from harness.records import Case
from harness.report import formats
from harness.report.sentence import sentence
from harness.tables import drawing

ONE = Case("baseline", "mnist", 256, "jax", threads=2, jit=True)


def several(size=256, **changes):
    return dataclasses.replace(ONE, batch_size=size, replicas=2, **changes)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        (several(), "strong"),
        (several(512), "weak"),
        (several(hosts=2), "strong"),
        (several(1024), None),
        (several(variant="improved"), None),
        (dataclasses.replace(ONE, batch_size=512), None),
    ],
)
def test_more_devices_are_compared_with_one_at_the_same_batch_or_one_as_much_larger(case, kind):
    """Nothing else may differ."""
    assert roles.scaling_kind(case, ONE) == kind


def test_efficiency_is_the_speedup_over_the_number_of_devices(tmp_path):
    """On logical devices it is called a functional check."""
    launcher = FakeLauncher(lambda case: 1e-3 / (1.6 if case.replicas == 2 else 1.0))
    runner = runner_of(tmp_path, launcher, 2)
    runner.measure(several(), ONE, Wish(early_steps=16))
    runner.measure(several(512), ONE)
    run = runner.save()
    rows = dataframe(run, "scaling").to_dict("records")
    assert [row["kind"] for row in rows] == ["strong", "weak"]
    assert [row["efficiency"] for row in rows] == pytest.approx([0.8, 0.8])
    assert [row["functional"] for row in rows] == [True, True]
    assert rows[0]["loss_verdict"] == "same"
    assert rows[0]["communication_share"] == pytest.approx(0.01 / (256 * 1e-3 / 1.6))
    text = formats.to_markdown(text_table(run, "scaling"))
    assert "functional check: the devices are logical ones" in text
    assert "| strong | 2 | 256 | 1 at 256 |" in text
    assert drawn(run, "scaling") is not None
    assert "2 comparisons of several devices with one, a functional check" in sentence(
        Analysis(run)
    )
    assert Analysis(run).roles.others() == []
    assert [
        r["case"] for r in dataframe(run, "measurements").to_dict("records") if not r["aside"]
    ] == [ONE.id]


def test_the_chart_of_logical_devices_shows_no_efficiency(tmp_path):
    """Communication alone; without that there is no chart."""
    runner = runner_of(tmp_path, FakeLauncher(lambda case: 1e-3), 1)
    runner.measure(several(), ONE)
    run = runner.save()
    figure = drawn(run, "scaling")
    assert drawing.title(figure).startswith("Functional check: several devices work; an all-reduce")
    assert len(figure.axes) == 1
    (outcome,) = run.outcomes
    untimed = tuple(dataclasses.replace(s, allreduce_seconds=None) for s in outcome.starts)
    outcomes = (dataclasses.replace(outcome, starts=untimed),)
    assert drawn(dataclasses.replace(run, outcomes=outcomes), "scaling") is None


def test_the_outlook_is_a_ring_of_more_devices(tmp_path):
    """From two to eight 2 (n-1)/n grows from 1 to 1.75; compute stays, or is divided."""
    launcher = FakeLauncher(lambda case: 1e-3)
    runner = runner_of(tmp_path, launcher, 2)
    for case in (several(hosts=2), several(512, hosts=2), several()):
        runner.measure(case, ONE)
    run = runner.save()
    frame = dataframe(run, "scaling_outlook")
    assert list(frame["replicas"]) == [2, 8, 64, 512] * 2, "logical devices have no link"
    rows = {(r["kind"], r["replicas"]): r for r in frame.to_dict("records")}
    eight = rows["weak", 8]
    assert eight["allreduce_s"] == pytest.approx(0.0175)
    assert eight["efficiency"] == pytest.approx(0.256 / (0.256 + 0.0175))
    assert eight["cost"] == pytest.approx(1 / eight["efficiency"])
    assert eight["device_hours_per_million"] == pytest.approx((0.256 + 0.0175) / 256 * 1e6 / 3600)
    strong = rows["strong", 64]
    assert strong["step_s"] == pytest.approx(0.256 / 64 + 0.01 * (63 / 64) / 0.5)
    assert strong["batch_size"] == 256
    text = formats.to_markdown(text_table(run, "scaling_outlook"))
    assert "a model, not a measurement" in text
    assert drawn(run, "scaling_outlook") is not None


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (several(backend="torch"), "Keras does not distribute over devices with Torch"),
        (several(backend="tensorflow", hosts=2), "keras issue 20585"),
        (several(255), "cannot be divided equally among 2"),
        (
            dataclasses.replace(ONE, replicas=3, hosts=2, batch_size=300),
            "among 2 hosts",
        ),
        (dataclasses.replace(ONE, replicas=0), "at least 1"),
    ],
)
def test_what_cannot_be_distributed_is_refused(case, message, monkeypatch):
    """Before a worker starts."""
    monkeypatch.setattr("harness.worker.backends.Backend.missing", lambda self: None)
    with pytest.raises(HarnessError, match=message):
        check_case(case, None, 2, NoGpu("none"))
