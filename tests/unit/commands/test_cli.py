"""The command line: exit codes and one clear line."""

import json

import pytest
from samples import batch_sizes, case

from harness.commands.parser import main


def test_list_shows_what_can_be_trained_here(capsys, monkeypatch):
    """Each with its state."""
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for word in ("baseline, improved", "digits, synthetic", "tensorflow (installed)", "cpu ("):
        assert word in shown


def test_report_writes_the_files_of_a_run_again(tmp_path, capsys):
    """From run.json alone."""
    batch_sizes(tmp_path / "runs" / "one")
    assert main(["report", "one", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "runs" / "one" / "charts" / "batch_size_speedup.svg").is_file()
    assert "Speedup by batch size" in capsys.readouterr().out


def test_report_of_a_run_with_a_failed_case_ends_with_1(tmp_path, capsys):
    """And shows the failure."""
    broken = {case(batch_size=4096).id: ("oom", "memory ran out", "")}
    batch_sizes(tmp_path / "runs" / "one", failures=broken)
    assert main(["report", "--output", str(tmp_path)]) == 1
    assert "oom: memory ran out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "there is no run in"),
        ({"runs/one/journal.jsonl": ""}, "run.json cannot be read"),
        ({"runs/one/run.json": "{"}, "is damaged"),
        ({"runs/one/run.json": '{"schema": 99}'}, "has schema 99"),
        ({"runs/one/run.json": '{"schema": 1}'}, "is damaged"),
    ],
)
def test_a_run_that_cannot_be_read_is_one_line(tmp_path, capsys, files, message):
    """On stderr, with exit code 2."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert main(["report", "--output", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_report_prints_json_and_nothing_else(tmp_path, capsys, no_charts):
    """What the console shows; what is missing is null."""
    batch_sizes(tmp_path / "runs" / "one")
    assert main(["report", "one", "--json", "--output", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == "one"
    assert found["sentence"].endswith(".")
    (first, *_) = found["tables"]["batch_size_speedup"]
    assert first["speedup"] > 0
    assert first["published"] is None
    assert any(path.endswith("report.html") for path in found["files"])
