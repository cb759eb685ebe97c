"""A run for programs: one JSON object."""

from typing import Any

from harness.report import notes, settings_code
from harness.report.files import Written
from harness.tables.table import rows_of

SCHEMA = 1


def document(written: Written) -> dict[str, Any]:
    """What the console shows, as plain values.

    `schema`, `run`, `effort`, `sentence`, `advice`, `settings` (code; empty without
    levers), `failures`, `cautions` (lines), `tables` (a list of rows each, columns as in the
    CSV files; what is missing is null), `files`.
    """
    run = written.run
    return {
        "schema": SCHEMA,
        "run": run.id,
        "effort": run.protocol.effort,
        "sentence": written.sentence,
        "advice": list(written.advice),
        "settings": settings_code.code(run),
        "failures": list(notes.failures(run)),
        "cautions": list(notes.cautions(run)),
        "tables": {name: rows_of(frame) for name, frame in written.frames.items()},
        "files": [str(path) for path in written.paths],
    }
