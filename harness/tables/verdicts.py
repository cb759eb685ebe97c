"""Words that tables and lines share."""

VERDICTS = {"inconclusive": "no difference shown"}
