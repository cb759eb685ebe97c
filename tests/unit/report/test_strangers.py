"""Runs of strangers: refused in one line or shown; no traceback, nothing outside the folder."""

import copy
import dataclasses
import io
import json
import math

import pytest
from fakes import HOSTILE, MACHINE, FakeLauncher, runner_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from harness.analyze.compare import run_diff
from harness.commands.parser import main
from harness.errors import HarnessError
from harness.records import Case, folders, run_file
from harness.report import console, files, run_diffs

SMALL, LARGE = Case("baseline", "synthetic", 256), Case("baseline", "synthetic", 1024)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([10**400, -(10**20), 1e308, 5e-324, math.nan, math.inf, -math.inf]),
    st.floats(allow_nan=False),
    st.sampled_from(["", "../../x", "\x1b[31m", "a\nb", "[bold]", "\ud800", "x" * 10_000]),
    st.just([]),
    st.just({}),
    st.just([[]]),
)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """The JSON of a small run with two measurements and a failure."""
    folder = tmp_path_factory.mktemp("measured")
    broken = {Case("improved", "synthetic", 256).id: ("oom", "memory ran out", "log")}
    runner = runner_of(folder, FakeLauncher(failures=broken))
    runner.measure(SMALL, SMALL)
    runner.measure(LARGE, SMALL)
    runner.measure(Case("improved", "synthetic", 256), SMALL)
    runner.save()
    runner.close()
    return json.loads((folder / run_file.NAME).read_text())


def places(value, path=()):
    """Every place in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))
        else:
            yield (*path, key)


def shown(folder):
    """Read, summarize and show a run, all but its charts."""
    out = Console(file=io.StringIO(), width=100)
    with folders.errors_as_bad_run(folder):
        run = folders.read(folder)
        console.show(out, files.write(run, folder))
        run_diffs.show(out, run_diff.compare(run, [run]), None)


@given(st.data())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)
def test_any_change_of_a_run_is_refused_in_one_line_or_shown(
    document, tmp_path_factory, monkeypatch, data
):
    """One to three values replaced by others, anywhere."""
    monkeypatch.setattr(files, "_figures", lambda *_: [])
    changed = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(changed))))
        if not path:
            continue
        inner = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = data.draw(VALUES)
    folder = tmp_path_factory.mktemp("run")
    text = json.dumps(changed)
    (folder / run_file.NAME).write_text(text)
    try:
        shown(folder)
    except HarnessError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "{}", '"x"', "[" * 200_000, '{"schema": 2}', '{"type": "x"}', "\x00"]
)
def test_what_is_no_run_is_one_line(tmp_path, capsys, text):
    """Whatever JSON, or none."""
    (tmp_path / run_file.NAME).write_text(text)
    assert main(["report", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_no_traceback(tmp_path, data):
    """In place of a run."""
    (tmp_path / run_file.NAME).write_bytes(data)
    with pytest.raises(HarnessError):
        run_file.read(tmp_path)


NAMES = [
    "../../outside",
    "/etc/outside",
    "\x1b]0;title\x07\x1b[2J",
    "a\nb\r\nc",
    "[red]markup[/red]",
    "| a | b |",
    "=1+1",
    "long" * 2500,
    HOSTILE,
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_hostile_name_is_text_and_nothing_is_written_elsewhere(
    tmp_path, capsys, monkeypatch, name
):
    """In names of variants, datasets, machine and run."""
    monkeypatch.setattr(files, "_figures", lambda *_: [])
    machine = dataclasses.replace(MACHINE, cpu=name, os=name, libraries={"keras": name})
    folder = tmp_path / "results" / "runs" / "one"
    runner = runner_of(folder, FakeLauncher(), machine=machine)
    small = Case(name, name, 256)
    runner.measure(Case(name, name, 1024), small)
    run = dataclasses.replace(runner.save(), id=name, command=name)
    run_file.write(folder, run)
    runner.close()
    before = {path for path in tmp_path.rglob("*") if folder not in path.parents}
    assert main(["report", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert printed.count("\n") < 300, "a long name does not fill screens"
    assert before == {path for path in tmp_path.rglob("*") if folder not in path.parents}
    for table in (folder / "tables").glob("*.md"):
        rows = [line for line in table.read_text().splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_a_link_does_not_lead_out_of_a_strangers_run(tmp_path, monkeypatch):
    """Neither a folder of it nor a file."""
    monkeypatch.setattr(files, "_figures", lambda *_: [])
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "page").write_text("mine")
    folder = tmp_path / "run"
    runner = runner_of(folder, FakeLauncher())
    runner.measure(LARGE, SMALL)
    runner.close()
    (folder / "tables").symlink_to(outside, target_is_directory=True)
    (folder / "report.html").symlink_to(outside / "page")
    assert main(["report", str(folder)]) == 0
    assert [path.name for path in outside.iterdir()] == ["page"]
    assert (outside / "page").read_text() == "mine"
