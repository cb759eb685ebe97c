"""A run in formats of other programs, each held against its public description."""

import io
import json
import math

import jsonschema
import pandas as pd
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from samples import batch_sizes

from harness.analyze.analysis import Analysis
from harness.commands.parser import main
from harness.report.exports.formats import FORMATS

# https://bencher.dev/docs/reference/bencher-metric-format/
BMF = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[a-z0-9-]{1,64}$"},
        "additionalProperties": {
            "type": "object",
            "properties": {
                "value": {"type": "number"},
                "lower_value": {"type": "number"},
                "upper_value": {"type": "number"},
            },
            "required": ["value"],
            "additionalProperties": False,
        },
    },
}
# The README of benchmark-action/github-action-benchmark, `customSmallerIsBetter`.
GITHUB = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "unit": {"type": "string"},
            "value": {"type": "number"},
            "range": {"type": "string"},
            "extra": {"type": "string"},
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}


@pytest.fixture
def run(tmp_path):
    return batch_sizes(tmp_path)


def text_of(run, name):
    return FORMATS[name](Analysis(run)).decode()


def test_bencher_reads_each_case_and_comparison(run):
    """Values with their ends."""
    found = json.loads(text_of(run, "bmf"))
    jsonschema.validate(found, BMF)
    step = found[next(name for name in found if "b256" in name)]["step-seconds"]
    assert step["lower_value"] <= step["value"] <= step["upper_value"]
    speedups = {name: its["speedup"] for name, its in found.items() if "speedup" in its}
    assert speedups
    assert all(" against " in name for name in speedups)


def test_github_action_benchmark_reads_what_should_be_small(run):
    """No speedup is among them."""
    found = json.loads(text_of(run, "github-action-benchmark"))
    jsonschema.validate(found, GITHUB)
    assert {one["unit"] for one in found} >= {"seconds", "bytes"}
    assert not any("speedup" in one["name"] for one in found)


def test_openmetrics_is_what_its_parser_reads(run):
    """Prometheus's own; every figure is there."""
    text = text_of(run, "openmetrics")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["training_step_seconds"].unit == "seconds"
    steps = families["training_step_seconds"].samples
    assert {sample.labels["run"] for sample in steps} == {run.id}
    lows = {s.labels["case"]: s.value for s in families["training_step_low_seconds"].samples}
    assert all(lows[s.labels["case"]] <= s.value for s in steps)
    assert {"case", "against", "run"} == set(families["training_speedup"].samples[0].labels)


def test_parquet_has_the_columns_of_the_csv_file(run):
    """And its values."""
    found = pd.read_parquet(io.BytesIO(FORMATS["parquet"](Analysis(run))))
    assert {"case", "variant", "step_us", "step_us_low", "version"} <= set(found.columns)
    assert math.isfinite(found["step_us"].sum())


def test_the_command_prints_the_format_alone(run, tmp_path, capfdbinary):
    """And writes no file."""
    before = sorted(tmp_path.rglob("*"))
    (folder,) = [path.parent for path in tmp_path.rglob("run.json")]
    assert main(["report", str(folder), "--export", "bmf"]) == 0
    shown = capfdbinary.readouterr().out
    jsonschema.validate(json.loads(shown), BMF)
    assert sorted(tmp_path.rglob("*")) == before
