"""Tables that say why: the ladder, the work, the law of the batch size."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from harness import units
from harness.analyze.ladder import DIRECT, agrees
from harness.analyze.work import PASSES
from harness.tables.columns.cells import (
    BACKEND,
    BATCH,
    BLOCKS,
    DEVICE,
    PUBLISHED,
    REFERENCE,
    SPEEDUP,
    VARIANT,
    VERDICT,
    Row,
    interval,
    number,
    percents,
    text,
)
from harness.tables.columns.comparisons import judged_notes
from harness.tables.declare import Column

TITLES = {
    "ladder": "Where the speedup comes from: one change at a time, each against the one before",
    "work": "The work and the time it takes",
    "batch_size_law": "Would a larger batch help? Step time as overhead + cost a sample",
}

_ORDER = Column("order", text("order"), numeric=False, shared=True)


def _milliseconds(value: float, low: float | None, high: float | None) -> str:
    text, *ends = (units.digits(us / 1e3) for us in (value, low, high) if us is not None)
    return f"{text} [{', '.join(ends)}]" if ends else text


def _ends(row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if low is None else f" [{units.digits(low)}, {units.digits(high)}]"


def _gain_verdict(row: Row) -> str:
    words = {"undecided": "cannot be said", "small difference": "cannot be said", "same": "no gain"}
    verdict = row["gain_verdict"]
    return units.MISSING if verdict is None else words.get(verdict, str(verdict))


COLUMNS: dict[str, tuple[Column[Any], ...]] = {
    "ladder": (
        _ORDER,
        Column("rung", text("rung")),
        Column("change", text("change"), numeric=False),
        DEVICE,
        BACKEND,
        Column("fewer params", number("parameter_ratio", units.ratio), rank=4),
        Column("fewer MACs", number("mac_ratio", units.ratio), rank=4),
        SPEEDUP,
        dataclasses.replace(VERDICT, rank=2),
        Column("share", number("share", lambda v: f"{round(100 * v)} %"), rank=3),
        Column("so far [95 %]", interval("cumulative", units.ratio_interval), rank=1),
        dataclasses.replace(PUBLISHED, rank=5),
        dataclasses.replace(BLOCKS, rank=6),
    ),
    "work": (
        VARIANT,
        BACKEND,
        DEVICE,
        BATCH,
        REFERENCE,
        Column("params", number("parameters", units.count), rank=2),
        Column("MMACs/sample", number("macs_per_sample", lambda v: units.digits(v / 1e6)), rank=1),
        Column("fewer params", number("parameter_ratio", units.ratio)),
        Column("fewer MACs", number("predicted", units.ratio)),
        SPEEDUP,
        Column("speedup / MACs", number("measured_over_predicted", lambda v: f"{v:.2f}")),
        Column("GFLOP/s", number("gflops", units.digits), rank=1),
        Column("of peak", number("peak_share", lambda v: f"{100 * v:.0f} %"), rank=1),
        Column("off the line", number("residual", lambda v: f"{round(100 * v):+d} %"), rank=1),
        Column("optimizer MiB", number("optimizer_bytes", lambda v: units.digits(v / 2**20)),
               rank=3),
        Column("activations KiB/sample", number("activation_bytes_per_sample",
               lambda v: units.digits(v / 2**10)), rank=3),
    ),
    "batch_size_law": (
        VARIANT,
        BACKEND,
        DEVICE,
        BATCH,
        REFERENCE,
        Column(
            "ms/step by the law [95 %]",
            interval("step_us", _milliseconds),
            rank=3,
        ),
        Column("measured [95 %]", interval("speedup", units.ratio_interval), rank=2),
        Column("law [95 %]", interval("fitted", units.ratio_interval)),
        Column("overhead [95 %]", percents("overhead_share"), rank=1),
        Column("beyond the largest [95 %]", interval("gain", units.ratio_interval)),
        Column("verdict", _gain_verdict, numeric=False),
    ),
}  # fmt: skip


def _where(rows: list[Row]) -> Callable[[Row], str]:
    """Device and backend of a row, where the table has several."""
    names = [n for n in ("device", "backend") if len({row[n] for row in rows}) > 1]
    return lambda row: "".join(f", {row[name]}" for name in names)


def notes(name: str, rows: list[Row]) -> Iterator[str]:
    """What a reader must know of single cells."""
    yield from {"ladder": _ladder_notes, "work": _work_notes, "batch_size_law": _law_notes}[name](
        rows
    )


def _ladder_notes(rows: list[Row]) -> Iterator[str]:
    yield "so far: product of the rungs; share: a rung's part of the logarithm of that product"
    where = _where(rows)
    for row in rows:
        if row["rung"] == DIRECT and row["product_over_direct"] is not None:
            low, high = row["product_over_direct_low"], row["product_over_direct_high"]
            ratio = units.ratio_interval(row["product_over_direct"], low, high)
            words = {True: ": they agree", False: ": they do NOT agree", None: ""}[
                agrees(low, high)
            ]
            name = row["order"] + where(row)
            yield f"{name}: product of the rungs over the direct comparison {ratio}{words}"
    places: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["rung"] != DIRECT:
            key = (row["change"], where(row))
            places.setdefault(key, []).append(units.ratio(row["speedup"]))
    moved = [
        f"{change}{place} {' or '.join(found)}"
        for (change, place), found in places.items()
        if len(found) > 1
    ]
    if moved:
        yield f"by the place where a change is made: {'; '.join(moved)}"
    yield from judged_notes(rows, "order", "rung")


def _work_notes(rows: list[Row]) -> Iterator[str]:
    yield (
        "fewer MACs: the speedup if the multiply-accumulates alone decided; speedup / MACs: the "
        "measured one over that, 1 where the work explains it"
    )
    peaks = [row for row in rows if row["peak_gflops"] is not None]
    if peaks:
        where = _where(rows)
        sizes = sorted({f"{row['product_size']:.0f}" for row in peaks})
        known = dict.fromkeys(
            f"{units.digits(row['peak_gflops'])}{_ends(row, 'peak_gflops')} GFLOP/s{where(row)}"
            for row in peaks
        )
        yield (
            f"GFLOP/s: {2 * PASSES} operations a multiply-accumulate of the forward pass; peak: a "
            f"matrix product of size {', '.join(sizes)} by the same framework on the same threads "
            f"and device, {'; '.join(known)}"
        )
    sweep = [row["variant"] for row in rows if row["residual"] is not None and row["in_sweep"]]
    if sweep:
        worst = 100 * max(abs(row["residual"] or 0.0) for row in rows if row["in_sweep"])
        yield (
            "off the line: from sample time = fixed + slope × MACs, fitted to the variants that "
            f"differ in width alone ({', '.join(dict.fromkeys(sweep))}), which it misses by up to "
            f"{worst:.0f} %"
        )
    uncounted = {row["variant"]: row["macs_source"] for row in rows if not row["macs_per_sample"]}
    yield from (f"MACs of {variant}: {why}" for variant, why in uncounted.items())


def _law_notes(rows: list[Row]) -> Iterator[str]:
    told, where = set(), _where(rows)
    for row in rows:
        key = (row["variant"], row["backend"], row["device"], row["threads"])
        if key in told:
            continue
        told.add(key)
        yield f"{row['variant']}{where(row)}: {row['reason'] or _law(row)}"
    if any(row["fitted"] is not None and not row["measured"] for row in rows):
        yield (
            "sizes beyond the largest measured are predicted by the law; no gain: within 2 % of "
            "the largest measured"
        )


def _law(row: Row) -> str:
    def with_ends(name: str, scale: float, unit: str) -> str:
        value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
        ends = "" if low is None else f" [{_short(low / scale)}, {_short(high / scale)}]"
        return f"{_short(value / scale)}{ends}{unit}"

    limit = units.ratio_interval(row["limit"], row["limit_low"], row["limit_high"])
    if (row["alpha"] if row["alpha_low"] is None else row["alpha_low"]) <= 0:
        most = (
            ""
            if row["alpha_high"] is None
            else f" (at most {_short(row['overhead_us_high'] / 1e3)} ms)"
        )
        return (
            f"no overhead of a step is shown{most}; {with_ends('sample_us', 1, ' µs')} a sample; "
            f"an endless batch would bring {limit} over the largest measured"
        )
    return (
        f"a step takes {with_ends('overhead_us', 1e3, ' ms')} + "
        f"{with_ends('sample_us', 1, ' µs')} a sample; half of it is overhead at batch "
        f"{with_ends('half_batch', 1, '')}; an endless batch would bring {limit} "
        "over the largest measured"
    )


def _short(value: float) -> str:
    return units.digits(value) if abs(value) < 1000 else units.count(value)
