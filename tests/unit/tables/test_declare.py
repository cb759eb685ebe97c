"""How tables are declared: every path leads somewhere, every column of a file is there once."""

import dataclasses

import pytest

from harness.records import Case
from harness.tables import TABLES
from harness.tables.declare import header

CASE = {field.name for field in dataclasses.fields(Case)}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_column_names_a_field_of_its_row_or_of_a_case(table):
    """A misspelled path would show in a run that has such rows alone."""
    known = {field.name for field in dataclasses.fields(table.row)} | CASE
    paths = [column.value for column in table.columns if isinstance(column.value, str)]
    assert {path.split(".")[0] for path in paths} <= known


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_column_of_a_file_is_there_once(table):
    """Whatever order the table asks for."""
    assert len(header(table)) == len(set(header(table))) > 0
