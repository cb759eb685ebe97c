"""Epoch times: what is counted once, what by the sample."""

import pytest

from harness.analyze.training import epochs
from harness.records import Fit


def fit(**changes):
    fields = {
        "steps": 4,
        "samples": 400,
        "seconds": 8.0,
        "first_step_seconds": 5.0,
        "whole_epoch": False,
    }
    return Fit(**{**fields, **changes})


def test_the_start_of_an_epoch_is_counted_once():
    """Three steps took 1 s each after a first one of 5 s: ten steps take 5 + 9."""
    assert epochs.project(fit(), 1000) == pytest.approx(14.0)


def test_a_ragged_last_batch_counts_by_its_samples():
    """Half a batch is half a step."""
    assert epochs.project(fit(), 1050) == pytest.approx(14.5)


def test_a_whole_epoch_is_its_own_time():
    """Nothing is projected."""
    assert epochs.project(fit(whole_epoch=True, samples=390), 390) == 8.0


def test_one_step_is_scaled_by_its_samples():
    """There is no later step to tell the rate from."""
    alone = fit(steps=1, samples=100, seconds=2.0, first_step_seconds=2.0)
    assert epochs.project(alone, 1000) == pytest.approx(20.0)


def test_without_a_fit_the_steps_alone_are_counted():
    """And the source says so."""
    epoch = epochs.epoch([], step_seconds=0.5, batch_size=10, train_samples=1000)
    assert (epoch.seconds.value, epoch.source) == (50.0, "projected from steps")
    assert epoch.input_share is None


def test_the_input_share_is_what_fit_adds_to_its_steps():
    """14 s an epoch where the steps alone take 10 s."""
    epoch = epochs.epoch([fit(), fit()], step_seconds=1.0, batch_size=100, train_samples=1000)
    assert epoch.input_share == pytest.approx(0.4)
    assert epoch.source == "projected from fit"
