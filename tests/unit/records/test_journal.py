"""The journal forgives what a crash leaves."""

import json
import random
import re

import pytest
from fakes import FakeLauncher, runner_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.errors import BadRun
from harness.records import Case, journal
from harness.records.resume import ResumedRun


def test_entries_come_back_in_order(tmp_path):
    """As they were written."""
    writer = journal.Journal.open(tmp_path)
    writer.write("round", number=1)
    writer.write("round", number=2)
    assert [entry["number"] for entry in journal.read(tmp_path)] == [1, 2]


def test_a_torn_last_line_is_left_out(tmp_path):
    """What was synced before it is kept."""
    writer = journal.Journal.open(tmp_path)
    writer.write("round", number=1)
    writer.close()
    with (tmp_path / journal.NAME).open("ab") as file:
        file.write(b'{"kind": "round", "numb')
    assert [entry["number"] for entry in journal.read(tmp_path)] == [1]


def test_a_run_goes_on_after_a_torn_line(tmp_path):
    """The next entry does not join the torn one."""
    writer = journal.Journal.open(tmp_path)
    writer.write("round", number=1)
    writer.close()
    with (tmp_path / journal.NAME).open("ab") as file:
        file.write(b'{"kind": "rou')
    journal.Journal.open(tmp_path).write("round", number=2)
    assert [entry["number"] for entry in journal.read(tmp_path)] == [1, 2]


def test_a_folder_without_a_journal_is_explained(tmp_path):
    """One line."""
    with pytest.raises(BadRun, match="no readable journal"):
        list(journal.read(tmp_path))


def measured(folder):
    """The journal of a small run, as bytes and as what was written."""
    runner = runner_of(folder, FakeLauncher())
    case = Case("baseline", "synthetic", 256)
    runner.measure(case, case)
    runner.close()
    return (folder / journal.NAME).read_bytes(), list(journal.read(folder))


def test_a_journal_that_is_cut_at_any_byte_gives_what_is_whole(tmp_path):
    """Every entry whose line is there but for its end, and at most one that is told."""
    data, entries = measured(tmp_path)
    ends = [m.end() - 1 for m in re.finditer(b"\n", data)]
    for cut in range(len(data)):
        (tmp_path / journal.NAME).write_bytes(data[:cut])
        damaged = []
        whole = sum(end <= cut for end in ends)
        assert entries[:whole] == list(journal.read(tmp_path, damaged.append))
        assert damaged == (
            [whole + 1] if data[:cut].rpartition(b"\n")[2] and cut not in ends else []
        )


def test_a_byte_that_is_flipped_anywhere_is_found(tmp_path):
    """No entry comes back changed: not even a digit of a time."""
    data, entries = measured(tmp_path)
    rng = random.Random(0)
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << rng.randrange(8)
        (tmp_path / journal.NAME).write_bytes(flipped)
        damaged = []
        read = list(journal.read(tmp_path, damaged.append))
        # An end of a line that is flipped joins two; one more makes two of one.
        assert len(entries) - len(read) <= 2
        first_has_lost_its_seal = {**entries[0]} == {k: read[0].get(k) for k in entries[0]}
        assert all(entry in entries for entry in read[first_has_lost_its_seal:])
        assert damaged or len(entries) == len(read)


@pytest.mark.parametrize("line", range(8))
def test_a_run_goes_on_without_a_damaged_line(tmp_path, line):
    """Or says that it cannot, where it does not know any more how it was measured."""
    data, _ = measured(tmp_path)
    lines = data.splitlines(keepends=True)
    number = line * (len(lines) - 1) // 7
    lines[number] = lines[number].replace(b'"', b"'", 1)
    (tmp_path / journal.NAME).write_bytes(b"".join(lines))
    if number == 0:
        with pytest.raises(BadRun, match="has lost its first line"):
            ResumedRun.read(tmp_path)
    else:
        assert [number + 1] == ResumedRun.read(tmp_path).damaged


def test_an_empty_journal_is_a_new_run(tmp_path):
    """A crash before the first entry."""
    (tmp_path / journal.NAME).write_bytes(b"")
    assert ResumedRun.read(tmp_path).protocol is None


def test_a_journal_of_the_first_schema_is_read(tmp_path):
    """It has no checksums."""
    _, entries = measured(tmp_path)
    del entries[0]["schema"]
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    (tmp_path / journal.NAME).write_text(text)
    assert entries == list(journal.read(tmp_path))
    assert len(ResumedRun.read(tmp_path).records["outcome"]) == 1


def test_a_journal_of_a_later_schema_is_refused(tmp_path):
    """In one line that names it."""
    _, entries = measured(tmp_path)
    text = json.dumps({**entries[0], "schema": 99}) + "\n"
    (tmp_path / journal.NAME).write_text(text)
    with pytest.raises(BadRun, match="schema 99"):
        ResumedRun.read(tmp_path)


def test_a_disk_that_is_full_is_one_line_and_closing_says_no_more(tmp_path):
    """/dev/full is a disk without room."""
    (tmp_path / journal.NAME).symlink_to("/dev/full")
    writer = journal.Journal.open(tmp_path)
    with pytest.raises(BadRun, match="No space left on device"):
        writer.write("round", number=1)
    writer.close()


def test_a_journal_that_is_removed_is_told(tmp_path):
    """What is written to it then would end with this process."""
    writer = journal.Journal.open(tmp_path)
    (tmp_path / journal.NAME).unlink()
    with pytest.raises(BadRun, match="has been removed"):
        writer.write("round", number=1)


def test_a_journal_has_one_writer(tmp_path):
    """A second one is refused until the first has closed it."""
    writer = journal.Journal.open(tmp_path)
    with pytest.raises(BadRun, match="another process is measuring into"):
        journal.Journal.open(tmp_path)
    writer.close()
    journal.Journal.open(tmp_path).close()


@given(st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"[" * 200_000)
@example(b'{"kind": "run"}\n')
@example(b'{"kind": "block", "key": "a", "block": 1}\n')
@example(b'{"kind": "outcome", "outcome": {"type": "measurement"}}\n')
@example(b'{"kind": ["run"]}\n')
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path, data):
    """Whatever a stranger calls a journal."""
    (tmp_path / journal.NAME).write_bytes(data)
    try:
        ResumedRun.read(tmp_path)
    except BadRun as error:
        assert "\n" not in str(error)
