"""Trainings in full: their histories, what they cost in accuracy, the hardest test images."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness import units
from harness.analyze.accuracy import MARGIN
from harness.analyze.hardest import Ceiling
from harness.tables.charts import parts

_CURVES = {
    "val_accuracy": "test accuracy",
    "val_loss": "test loss",
    "accuracy": "accuracy in training",
    "loss": "loss in training",
}


def convergence(frame: pd.DataFrame, caption: str) -> Figure:
    """Accuracy and loss, on the test set and in training, over epochs and over seconds."""
    figure, panels = parts.grid(caption, len(_CURVES), 2, (7.2, 9.5))
    curves = list(parts.lines(frame, ("variant", "batch_size"), ("epochs", "device", "backend")))
    for column, (x, label) in enumerate(
        (("epoch", "epoch"), ("elapsed_s", "seconds of training, validation left out"))
    ):
        for row, (name, title) in enumerate(_CURVES.items()):
            axes = panels[row][column]
            for index, (curve, rows) in enumerate(curves):
                _history(axes, index, rows, x, name, curve)
            (_accuracy_axis if "accuracy" in name else _loss_axis)(axes, frame, name)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            if column == 0:
                axes.set_ylabel(title)
        panels[-1][column].set_xlabel(label)
    panels[0][0].set_title("Trainings in full", loc="left", weight="bold")
    handles, labels = panels[0][0].get_legend_handles_labels()
    if frame["published_val_accuracy"].notna().any():
        handles.append(Line2D([], [], marker="X", color="#cccccc", markeredgecolor="black",
                              markersize=8, linestyle="none"))  # fmt: skip
        labels.append("published, in the color of its line")
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def _loss_axis(axes: Axes, frame: pd.DataFrame, name: str) -> None:
    """A logarithmic axis, where that can be."""
    known = frame[name].astype(float).dropna()
    if len(known) and known.min() > 0 and math.isfinite(known.max()):
        axes.set_yscale("log")
        ticks = parts.nice_ticks(float(known.min()), float(known.max()))
        axes.yaxis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.yaxis.set_minor_locator(parts.no_ticks())


def _accuracy_axis(axes: Axes, frame: pd.DataFrame, name: str) -> None:
    """Leave out the steep beginning, where nothing can be told apart; mark the target."""
    for target in frame["target"].dropna().unique() if name == "val_accuracy" else ():
        axes.axhline(target, color="#777777", linewidth=0.8, linestyle="--")
        axes.annotate(
            f"target {target:g}", (1, target), (0, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", fontsize=7.5, color="#555555",
        )  # fmt: skip
    known = frame[name].astype(float).dropna()
    if len(known):
        low, high = float(known.quantile(0.1)), float(known.max())
        axes.set_ylim(low - 0.1 * (1 - low), high + 0.08 * (1 - low))


def _history(axes: Axes, index: int, rows: pd.DataFrame, x: str, name: str, label: str) -> None:
    color = parts.COLORS[index % len(parts.COLORS)]
    axes.plot(
        rows[x], rows[name], color=color, label=label, markersize=3.5,
        marker=parts.MARKERS[index % len(parts.MARKERS)],
        linestyle=parts.LINES[index % len(parts.LINES)],
    )  # fmt: skip
    low, high = rows[f"{name}_low"].astype(float), rows[f"{name}_high"].astype(float)
    if low.notna().all():
        axes.fill_between(rows[x], low, high, color=color, alpha=0.15, linewidth=0)
    known = rows[rows[f"published_{name}"].notna()]
    if len(known) and x == "epoch":  # its seconds were those of another machine
        axes.scatter(
            known[x], known[f"published_{name}"], marker="X", s=60, color=color,
            edgecolors="black", zorder=4,
        )  # fmt: skip


def accuracy(axes: Axes, frame: pd.DataFrame) -> None:
    """The difference of accuracies of each pair, beside the margin."""
    axes.set_title("What it costs in accuracy", loc="left", weight="bold")
    margin = 100 * MARGIN
    axes.axvspan(-margin, margin, color="#eeeeee", zorder=0)
    axes.axvline(0, color="black", linewidth=0.8)
    places = pd.Series(range(len(frame)), frame.index)
    points = 100 * frame[["difference", "low", "high", "published"]].astype(float)
    bars = [points["difference"] - points["low"], points["high"] - points["difference"]]
    axes.errorbar(
        points["difference"], places, xerr=[bar.fillna(0).clip(lower=0) for bar in bars], fmt="o",
        color="#0072B2", capsize=4,
    )  # fmt: skip
    known = points["published"].notna()
    if known.any():
        axes.scatter(
            points["published"][known], places[known], marker="X", color="black", s=60, zorder=4,
            edgecolors="white", label="published",
        )  # fmt: skip
        axes.legend(frameon=False, fontsize=8)
    labels = [
        f"{r.variant} {r.batch_size}\nagainst {r.reference} {r.reference_batch_size}"
        for r in parts.rows(frame)
    ]
    axes.set_yticks(places, labels)
    axes.set_ylim(len(frame) - 0.5, -0.5)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"points of test accuracy, with 95 % interval; gray: same, within {margin:g}")


def effective_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    """Speedup of an epoch beside that of the whole way to the target."""
    target = ", ".join(f"{t:g}" for t in sorted(set(frame["target"])))
    axes.set_title(f"Speedup of an epoch, and to test accuracy {target}", loc="left", weight="bold")
    bars = (
        ("epoch_speedup", "epoch_low", "epoch_high", "an epoch", -0.2, "#bbbbbb", "//"),
        ("speedup", "low", "high", f"to accuracy {target}", 0.2, "#0072B2", ""),
    )
    for column, low, high, label, shift, color, hatch in bars:
        places = [place + shift for place in range(len(frame))]
        values = frame[column].astype(float)
        axes.bar(places, values - 1, 0.38, bottom=1.0, color=color, hatch=hatch,
                 edgecolor="black", linewidth=0.6, label=label)  # fmt: skip
        ends = pd.DataFrame({"speedup": values, "low": frame[low], "high": frame[high]})
        parts.interval_bars(axes, places, ends, "black")
        for place, value, top in zip(places, values, ends["high"].fillna(values), strict=True):
            text = "not\nreached" if pd.isna(value) else units.ratio(value)
            axes.annotate(text, (place, max(1.0, 1.0 if pd.isna(top) else top)), (0, 5),
                          textcoords="offset points", ha="center", fontsize=8)  # fmt: skip
    labels = [
        f"{r.variant} {r.batch_size}\n/ {r.reference} {r.reference_batch_size}"
        for r in parts.rows(frame)
    ]
    axes.set_xticks(range(len(frame)), labels)
    axes.margins(y=0.2)
    parts.speedup_axis(axes)
    axes.set_ylabel("reference / case, with 95 % interval")
    axes.legend(frameon=False)


_DIGITS_A_ROW = 8
DIGITS_SHOWN = 4 * _DIGITS_A_ROW


def hardest_digits(found: Ceiling, caption: str) -> Figure:
    """The test images that most trainings get wrong, with label and what they are taken for."""
    always, ever = units.count(found.wrong_always), units.count(found.wrong_ever)
    share = 100 * found.wrong_always / found.test_samples
    told = (
        f"{always} of {units.count(found.test_samples)} test images are got wrong by all "
        f"{found.trainings} trainings of {found.variants} variants, {ever} by at least one. No "
        f"variant here goes beyond {100 - share:.2f} %, and many an eye would not either: a "
        f"difference of accuracy that is small beside those {share:.2f} points may be shown, and "
        "yet be of little use. In brackets: trainings that got it wrong, and the mean probability "
        "that they gave to their answer. "
    )
    rows = -(-len(found.hardest) // _DIGITS_A_ROW)
    figure, panels = parts.grid(told + caption, rows, _DIGITS_A_ROW, size=(7.2, 1.35 * rows))
    cells = [axes for row in panels for axes in row]
    for axes in cells:
        axes.axis("off")
    for axes, hard in zip(cells, found.hardest, strict=False):
        axes.imshow(hard.image, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(
            f"{hard.label}, taken for {hard.predicted}\n({hard.trainings}/{found.trainings}, "
            f"{100 * hard.confidence:.0f} %)",
            fontsize=6.5,
        )
    figure.suptitle("The hardest test images", x=0.01, ha="left", weight="bold", fontsize=10)
    return figure
