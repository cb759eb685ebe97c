"""Rows as dicts, until every table has typed rows."""

import dataclasses
from typing import Any

from harness.analyze import cautions, levers
from harness.analyze.analysis import Analysis
from harness.analyze.cases import quotient
from harness.analyze.verdicts import judge
from harness.records import Case, Measurement

SEPARATOR = " | "


def case_columns(case: Case) -> dict[str, Any]:
    """The fields of a case and its id."""
    return {"case": case.id, **{f.name: getattr(case, f.name) for f in dataclasses.fields(case)}}


def speedup_columns(m: Measurement, analysis: Analysis) -> dict[str, Any]:
    """A judged comparison."""
    judged = judge(m, analysis)
    return {
        "parameters": m.facts.parameters,
        "macs_per_sample": m.facts.macs_per_sample,
        "macs_source": m.facts.macs_source,
        "parameter_ratio": m.reference_facts.parameters / m.facts.parameters,
        "mac_ratio": quotient(m.reference_facts.macs_per_sample, m.facts.macs_per_sample),
        "speedup": judged.speedup.value,
        "low": judged.speedup.low,
        "high": judged.speedup.high,
        "blocks": judged.blocks,
        "verdict": judged.verdict,
        "smallest_visible": judged.smallest_visible,
        "published": judged.published,
        "noise_floor": judged.noise_floor,
        "cautions": SEPARATOR.join(map(str, cautions.of_measurement(m, analysis.run.protocol))),
    }


def loss_columns(m: Measurement, analysis: Analysis) -> dict[str, Any]:
    """Early losses."""
    losses = levers.losses(m, analysis.run)
    found = losses.difference
    return {
        "loss": losses.case,
        "loss_plain": losses.reference,
        "loss_difference": found and found.value,
        "loss_low": found and found.low,
        "loss_high": found and found.high,
        "loss_verdict": losses.verdict,
        "early_steps": losses.steps,
    }
