"""A run for programs: one JSON object."""

from typing import Any

from harness.report import notes
from harness.report.files import Written

SCHEMA = 1


def document(written: Written) -> dict[str, Any]:
    """What the console shows, as plain values.

    `schema`, `run`, `effort`, `sentence`, `advice`, `settings` (code; empty without
    levers), `failures`, `cautions` (lines), `tables` (a list of rows each, columns as in the
    CSV files; what is missing is null), `files`.
    """
    analysis = written.analysis
    run = analysis.run
    return {
        "schema": SCHEMA,
        "run": run.id,
        "effort": run.protocol.effort,
        "sentence": written.sentence,
        "advice": list(written.advice),
        "settings": written.settings,
        "failures": list(notes.failures(run)),
        "cautions": list(notes.cautions(analysis)),
        "tables": written.rows,
        "files": [str(path) for path in written.paths],
    }
