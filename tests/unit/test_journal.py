"""The journal forgives what a crash leaves."""

import pytest

from harness.errors import BadRun
from harness.measure import journal


def test_entries_come_back_in_order(tmp_path):
    """As they were written."""
    writer = journal.Journal(tmp_path)
    writer.write("round", number=1)
    writer.write("round", number=2)
    assert [entry["number"] for entry in journal.read(tmp_path)] == [1, 2]


def test_a_torn_last_line_is_left_out(tmp_path):
    """What was synced before it is kept."""
    writer = journal.Journal(tmp_path)
    writer.write("round", number=1)
    writer.close()
    with (tmp_path / journal.NAME).open("ab") as file:
        file.write(b'{"kind": "round", "numb')
    assert [entry["number"] for entry in journal.read(tmp_path)] == [1]


def test_a_run_goes_on_after_a_torn_line(tmp_path):
    """The next entry does not join the torn one."""
    (tmp_path / journal.NAME).write_bytes(b'{"kind": "round", "number": 1}\n{"kind": "rou')
    journal.Journal(tmp_path).write("round", number=2)
    assert [entry["number"] for entry in journal.read(tmp_path)] == [1, 2]


def test_a_folder_without_a_journal_is_explained(tmp_path):
    """One line."""
    with pytest.raises(BadRun, match="no readable journal"):
        list(journal.read(tmp_path))
