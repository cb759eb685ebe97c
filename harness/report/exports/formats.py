"""Write a run in a format that another program reads; docs/formats.md names their descriptions."""

import io
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from harness.analyze.analysis import Analysis
from harness.errors import BadRun
from harness.report.exports.figures import Figure, of_run
from harness.tables import frame

_PREFIX = "training"


def bmf(analysis: Analysis) -> bytes:
    """Bencher Metric Format: by benchmark, by measure, a value with its lower and upper end."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for figure in of_run(analysis):
        measure = "-".join(filter(None, (figure.quantity.replace("_", "-"), figure.unit)))
        found[figure.name][measure] = _metric(figure)
    return _json(found)


def _metric(figure: Figure) -> dict[str, float]:
    value = figure.value
    ends = {"lower_value": value.low, "upper_value": value.high}
    return {"value": value.value, **{k: end for k, end in ends.items() if end is not None}}


def github_action_benchmark(analysis: Analysis) -> bytes:
    """The custom format of github-action-benchmark in which smaller is better: times and sizes."""
    return _json(
        [
            {
                "name": f"{figure.name} {figure.quantity.replace('_', ' ')}",
                "unit": figure.unit,
                "value": figure.value.value,
                **_range(figure),
            }
            for figure in of_run(analysis)
            if not figure.more_is_better
        ]
    )


def _range(figure: Figure) -> dict[str, str]:
    value = figure.value
    if value.low is None or value.high is None:
        return {}
    return {"range": f"{value.low:.6g} to {value.high:.6g}"}


def openmetrics(analysis: Analysis) -> bytes:
    """OpenMetrics text: a gauge per quantity and per end of its interval, a sample per case."""
    families: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    for figure in of_run(analysis):
        value = figure.value
        for end, number in (("", value.value), ("low", value.low), ("high", value.high)):
            if number is not None:
                name = "_".join(filter(None, (_PREFIX, figure.quantity, end, figure.unit)))
                families[name, figure.unit].append((_labels(figure, analysis), number))
    lines = []
    for (name, unit), samples in families.items():
        lines.append(f"# TYPE {name} gauge")
        lines += [f"# UNIT {name} {unit}"] if unit else []
        lines += [f"{name}{labels} {number!r}" for labels, number in samples]
    return "".join(f"{line}\n" for line in [*lines, "# EOF"]).encode()


def _labels(figure: Figure, analysis: Analysis) -> str:
    given = {"case": figure.case, "against": figure.against, "run": analysis.run.id}
    pairs = (f'{name}="{_escaped(text)}"' for name, text in given.items() if text is not None)
    return f"{{{','.join(pairs)}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def parquet(analysis: Analysis) -> bytes:
    """The table of measurements, with the columns of its CSV file.

    Raises:
        BadRun: pyarrow is not installed.
    """
    table, file = frame(analysis, "measurements"), io.BytesIO()
    try:
        table.to_parquet(file, index=False)
    except ImportError as error:
        raise BadRun("parquet needs pyarrow: pip install pyarrow") from error
    return file.getvalue()


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


FORMATS: Mapping[str, Callable[[Analysis], bytes]] = {
    "bmf": bmf,
    "github-action-benchmark": github_action_benchmark,
    "openmetrics": openmetrics,
    "parquet": parquet,
}
