"""Draws the pictures of mechanisms: ``plot_NAME(frame, axes=None)`` returns matplotlib's axes.

Each takes the table that ``initcheck.gate.pictures.frame(NAME)`` returns. Without ``axes`` it opens
a figure of pyplot, as in a notebook.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from initcheck.report import vector
from initcheck.report.colours import INK, SERIES
from initcheck.report.panels import (
    PANELS,
    STYLE,
    UNFIT,
    WIDTH,
    UnfitError,
    axes_of,
    cells,
    finite_max,
    fits,
    legend,
    lines,
    logarithmic,
)
from initcheck.results import ENVELOPE_LIMIT, Picture

if TYPE_CHECKING:
    import pandas as pd

ALL_EQUAL = 1e-10  # where a logarithmic axis has its zero
LEAST_SHARE = 1e-3  # of all weights; bars of a smaller share are not drawn


# --- one function per picture ---------------------------------------------------------------------


@fits
def plot_equal_units(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Largest difference between two hidden units, and test accuracy, over steps."""
    apart, accuracy = axes_of("equal_units", axes)
    for panel, measure in ((apart, "difference of units"), (accuracy, "test accuracy")):
        lines(panel, frame[frame["measure"] == measure], by="start", x="step")
        for first in panel.lines[:1]:  # rings, since two starts are often on the same line
            first.set(markersize=10, markerfacecolor="none", markeredgewidth=1.2)
    highest = frame[frame["measure"] == "difference of units"]["highest"]
    apart.set_ylim(-0.05, max(0.5, finite_max(highest) * 1.05))
    apart.set_ylabel("difference of units")
    accuracy.set_ylim(0, 1)
    accuracy.set_ylabel("test accuracy (share)")
    accuracy.set_xlabel("step")
    legend(apart, columns=2)
    return [apart, accuracy]


@fits
def plot_learning_curves(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Training loss and test accuracy over steps, with the range over seeds as a band."""
    loss, accuracy = axes_of("learning_curves", axes)
    for panel, measure in ((loss, "training loss"), (accuracy, "test accuracy")):
        lines(panel, frame[frame["measure"] == measure], by="start", x="step")
    logarithmic(loss)
    loss.set_ylabel("training loss (nats)")
    accuracy.set_ylim(0, 1)
    accuracy.set_ylabel("test accuracy (share)")
    accuracy.set_xlabel("step")
    legend(loss, columns=3)
    return [loss, accuracy]


@fits
def plot_residual_rank_over_steps(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Rank of W - W0 over steps, under a dashed line at the 784 pixels."""
    (panel,) = axes_of("residual_rank_over_steps", axes)
    widths = [*dict.fromkeys(frame[frame["start"] == "identity"]["width"])]
    others = iter(SERIES[1:])
    for (start, width), rows in frame.groupby(["start", "width"], sort=False):
        if start == "identity":  # equal curves: rings of four sizes stay visible
            place = widths.index(width)
            style: dict[str, Any] = {
                "markersize": max(3, 15 - 4 * place),
                "color": SERIES[0],
                "linewidth": 1,
            }
            style |= {"markerfacecolor": "none", "markeredgewidth": 1.2}
        else:
            style = {"markersize": 5, "color": next(others)}
        label = f"{start}, {width} units"
        panel.plot(rows["step"], rows["rank"], marker="o", label=label, **style)
    panel.axhline(784, color=INK, linestyle=(0, (5, 3)), linewidth=1.5)
    panel.text(frame["step"].min(), 800, "784 pixels", color=INK, va="bottom")
    panel.set_ylim(-45, max(1060.0, finite_max(frame["rank"]) * 1.05))  # room for rings at 0
    panel.set_xticks(sorted(set(frame["step"])))
    panel.set_xlabel("step")
    panel.set_ylabel("rank of W - W0")
    legend(panel, columns=2)
    return panel


@fits
def plot_weight_histograms(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Shares of weights after training; the share of exact zeros is a bar apart."""
    panels = axes_of("weight_histograms", axes)
    groups = frame.groupby("start", sort=False)
    for panel, (start, rows) in zip(panels, groups, strict=True):
        atom = rows["low"] == rows["high"]
        bins, share = rows[~atom], float(rows[atom]["share"].sum())
        left, width = float(bins["low"].min()), float((bins["high"] - bins["low"]).iloc[0])
        logarithmic(panel)  # an atom of 60 % and bins of 0.1 % are both to be seen
        panel.set_ylim(LEAST_SHARE, 1.5)
        height = bins["share"].where(bins["share"] > LEAST_SHARE, LEAST_SHARE) - LEAST_SHARE
        panel.bar(bins["low"], height, width * 0.9, LEAST_SHARE, align="edge", color=SERIES[0])
        apart = left - 4 * width
        panel.bar([apart], [max(share - LEAST_SHARE, 0)], width * 2, LEAST_SHARE, color=SERIES[1])
        panel.set_title(f"{start}: {share:.0%} of the weights are exactly 0")
        ticks = [left, left / 2, 0.0, -left / 2, -left]
        panel.set_xticks([apart, *ticks], ["exactly 0", *(f"{tick:.2g}" for tick in ticks)])
    panels[-1].set_xlabel("weight of hidden1 after training")
    panels[1].set_ylabel("share of weights")
    return panels


@fits
def plot_learning_rates(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Accuracy of starts by learning rates, as a small heat map for each optimizer."""
    panels = axes_of("learning_rates", axes)
    for panel, (optimizer, rows) in zip(
        panels, frame.groupby("optimizer", sort=False), strict=True
    ):
        table = rows.pivot_table(
            index="start", columns="lr", values="accuracy", sort=False, dropna=False
        )
        values = [[_share(value) for value in row] for row in table.to_numpy()]
        cells(panel, values, [*table.index], [f"{lr:g}" for lr in table.columns])
        panel.set_title(str(optimizer))
    panels[-1].set_xlabel("learning rate; cells: test accuracy (share)")
    return panels


@fits
def plot_waking_layers(frame: pd.DataFrame, axes: Any = None) -> Any:
    """How far each layer has moved after each step; an empty cell has not moved at all."""
    panels = axes_of("waking_layers", axes)
    top = finite_max(frame["distance"]) or 1.0
    for panel, (start, rows) in zip(panels, frame.groupby("start", sort=False), strict=True):
        table = rows.pivot_table(index="layer", columns="step", values="distance", sort=False)
        values = [
            [(0.0, "0") if value == 0 else (0.3 + 0.7 * value / top, _compact(value))
             for value in row] for row in table.to_numpy()
        ]  # fmt: skip
        cells(panel, values, [*table.index], [str(step) for step in table.columns])
        panel.set_title(str(start))
    panels[-1].set_xlabel("step; cells: norm of W - W0")
    return panels


@fits
def plot_signal_over_depth(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Mean square of activations and norm of gradients over layers, on logarithmic axes."""
    signal, gradient = axes_of("signal_over_depth", axes)
    for panel, measure in ((signal, "signal"), (gradient, "gradient")):
        lines(panel, frame[frame["measure"] == measure], by="start", x="layer")
        logarithmic(panel)
    signal.set_ylabel("mean square of activations")
    gradient.set_ylabel("norm of gradient")
    gradient.set_xlabel("layer")
    legend(signal, columns=2)
    return [signal, gradient]


@fits
def plot_width_transfer(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Change of hidden2's outputs by one Adam step, over width."""
    (panel,) = axes_of("width_transfer", axes)
    lines(panel, frame, by="rates", x="width")
    panel.set_xscale("log", base=2)
    widths = sorted(set(frame["width"]))
    panel.set_xticks(widths, [str(width) for width in widths])
    panel.minorticks_off()
    panel.set_ylim(bottom=0)
    panel.set_xlabel("width (units)")
    panel.set_ylabel("change of hidden2's outputs")
    legend(panel, columns=2)
    return panel


@fits
def plot_attention_rank(frame: pd.DataFrame, axes: Any = None) -> Any:
    """How far apart tokens are behind layers of attention; 0 means that all are equal."""
    (panel,) = axes_of("attention_rank", axes)
    values = ["mean", "lowest", "highest"]
    lines(panel, frame.assign(**frame[values].clip(lower=ALL_EQUAL)), by="skips", x="depth")
    panel.set_yscale("log")
    panel.set_ylim(ALL_EQUAL / 2, 2)
    panel.set_yticks(
        [ALL_EQUAL, 1e-8, 1e-6, 1e-4, 1e-2, 1], ["0", "1e-8", "1e-6", "1e-4", "0.01", "1"]
    )
    panel.minorticks_off()
    panel.set_xlabel("layers of attention")
    panel.set_ylabel("distance of tokens from their mean")
    legend(panel, columns=2)
    return panel


@fits
def plot_rounding_envelope(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Distance from the recorded trajectory over steps, with the allowed region as a band."""
    (panel,) = axes_of("rounding_envelope", axes)
    steps = sorted(set(frame["step"]))
    places = {step: place for place, step in enumerate(steps)}
    shown = frame.assign(place=[places[step] for step in frame["step"]])
    lines(panel, shown, by="run", x="place", y="r")
    logarithmic(panel)
    low, high = 0.007, max(100.0, finite_max(shown["r"]) * 2)
    panel.set_ylim(low, high)
    panel.axhspan(low, ENVELOPE_LIMIT, color=SERIES[2], alpha=0.12, linewidth=0)
    panel.axhline(ENVELOPE_LIMIT, color=INK, linestyle=(0, (5, 3)), linewidth=1.5)
    panel.text(len(steps) - 1, ENVELOPE_LIMIT * 0.8, f"{ENVELOPE_LIMIT} allowed", color=INK,
               ha="right", va="top")  # fmt: skip
    panel.set_xticks(range(len(steps)), [str(step) for step in steps])
    panel.set_xlabel("step")
    panel.set_ylabel("distance (rounding envelopes)")
    legend(panel, columns=2)
    return panel


PLOTS: dict[str, Callable[..., Any]] = {
    name: globals()[f"plot_{name}"] for name in PANELS
}  # by name of picture


def svg(picture: Picture, *, standalone: bool = False, prefix: str = "") -> str:
    """The picture as an ``<svg>`` element of a page, or as a whole file; empty without rows.

    ``prefix`` keeps the ids of two drawings on one page apart.

    Raises:
        UnfitError: the table has other columns, or other values, than the picture needs.
    """
    if not picture.rows or picture.name not in PLOTS:
        return ""
    try:
        return _drawn(picture, prefix, standalone=standalone)
    except UnfitError:
        raise
    except UNFIT as error:
        raise UnfitError(f"The table does not fit the picture {picture.name} ({error}).") from None


def _drawn(picture: Picture, prefix: str, *, standalone: bool) -> str:
    import matplotlib as mpl
    import pandas as pd
    from matplotlib.figure import Figure

    count, height = PANELS[picture.name]
    frame = pd.DataFrame(picture.rows, columns=picture.columns)
    # A run that is all NaN is drawn as an empty panel; pytest would make its warning an error.
    with warnings.catch_warnings(), mpl.rc_context(mpl.rcParamsDefault | STYLE):
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        PLOTS[picture.name](frame, figure.subplots(count, 1, squeeze=False)[:, 0])
        write = vector.alone if standalone else vector.inline
        return write(figure, prefix + picture.name, f"{picture.title}. {picture.text}")


def _compact(value: float) -> str:
    """A number that fits into a cell: two digits, or one with a power of ten."""
    return f"{value:.2g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def _share(value: float) -> tuple[float, str]:
    """The strength and the text of a cell with a share."""
    return value, "NaN" if math.isnan(value) else f"{value:.2f}"
