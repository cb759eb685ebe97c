"""What every command prints with `--json` is as docs/schema.json says."""

import json
from pathlib import Path

import jsonschema
import pytest
from samples import batch_sizes

from harness.commands.parser import COMMANDS, main

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "schema.json").read_text("utf-8"))
MODEL = "def build():\n    return 1\n"


def test_the_schema_is_one():
    """Of its own draft, with a definition for every document."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    named = {one["$ref"].rpartition("/")[2] for one in SCHEMA["anyOf"]}
    assert named <= set(SCHEMA["$defs"])
    commands = {module.__name__.rpartition(".")[2] for module in COMMANDS} - {"command"}
    as_run = {"tune", "profile", "report", "bisect"}
    assert commands - as_run | {"validate", "fleet"} == named


def valid(name, capsys):
    """Read what was printed, and check it."""
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, {**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{name}"}]})
    return document


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Two runs, and a model in the current folder."""
    for name in ("20261101-000000", "20261101-010000"):
        folder = tmp_path / "results" / "runs" / name
        folder.mkdir(parents=True)
        batch_sizes(folder)
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    return tmp_path / "results"


ONE, OTHER = "20261101-000000", "20261101-010000"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("list", ["list"]),
        ("doctor", ["doctor"]),
        ("run", ["report", ONE]),
        ("advise", ["advise", ONE]),
        ("advise", ["advise", ONE, "--epochs", "2", "--price-per-hour", "1"]),
        ("compare", ["compare", ONE, OTHER]),
        ("compare", ["compare", ONE, OTHER, "--fail-if-slower", "5%"]),
        ("fleet", ["compare", ONE, OTHER, "--page", "fleet.html"]),
        ("history", ["history"]),
    ],
)
def test_a_command_that_measures_nothing(results, no_charts, capsys, name, arguments):
    """Each document is valid, and no other text is printed."""
    main([*arguments, "--json"])
    valid(name, capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "mine.py:build", "--batch-sizes", "32,64", "--effort", "quick"],
        ["run", "mine.py:build", "--batch-sizes", "32", "--reference-env", "A=1"],
        [
            *("run", "mine.py:build", "--batch-sizes", "32", "--reference-env", "A=1"),
            *("--fail-if-slower", "5%", "--fail-if-more-memory", "5%"),
        ],
        ["tune", "mine.py:build", "--batch-size", "32", "--levers", "jit=on"],
    ],
)
def test_a_command_that_measures(launcher, results, no_charts, capsys, arguments):
    """Whatever follows from the run."""
    main([*arguments, "--threads", "1", "--output", "out", "--json"])
    valid("run", capsys)


def test_a_failure_is_in_the_document(launcher, results, no_charts, capsys):
    """With null where there is no value."""
    launcher.untrainable["mine.py:build"] = ("error", "it raised", "")
    sized = ("--batch-sizes", "32", "--threads", "1", "--output", "out")
    assert main(["run", "mine.py:build", *sized, "--json"]) == 1
    assert valid("run", capsys)["failures"]
