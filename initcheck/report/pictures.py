"""Draws the pictures of mechanisms: ``plot_NAME(frame, axes=None)`` returns matplotlib's axes.

Each takes the table that the function NAME of ``initcheck.gate.pictures`` returns. Without ``axes``
it opens a figure of pyplot, as in a notebook.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from initcheck.report import vector
from initcheck.report.colours import CARD, FAINT, INK, SERIES
from initcheck.results import ENVELOPE_LIMIT, Picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

WIDTH = 5.6  # inches, 403 points: 1:1 in half of a page, and readable on a phone
STYLE: Any = {
    "font.size": 11, "font.family": "sans-serif", "text.color": FAINT, "axes.labelcolor": FAINT,
    "axes.edgecolor": FAINT, "xtick.color": FAINT, "ytick.color": FAINT, "axes.titlesize": 11,
    "axes.titlecolor": INK, "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "lines.linewidth": 2, "legend.frameon": False,
    "legend.labelcolor": INK, "axes.facecolor": CARD, "figure.facecolor": CARD,
    "figure.dpi": 72, "axes.unicode_minus": False, "path.simplify": False,
}  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "X")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), "-", (0, (3, 3)))
ALL_EQUAL = 1e-10  # where a logarithmic axis has its zero
LEAST_SHARE = 1e-3  # of all weights; bars of a smaller share are not drawn
PALE, STRONG = 0.06, 0.42  # opacity of cells: text on both has a contrast of 4.5 and more


# --- one function per picture ---------------------------------------------------------------------


def plot_learning_curves(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Training loss and test accuracy over steps, with the range over seeds as a band."""
    loss, accuracy = _axes("learning_curves", axes)
    for panel, measure in ((loss, "training loss"), (accuracy, "test accuracy")):
        _lines(panel, frame[frame["measure"] == measure], by="start", x="step")
    _logarithmic(loss)
    loss.set_ylabel("training loss (nats)")
    accuracy.set_ylim(0, 1)
    accuracy.set_ylabel("test accuracy (share)")
    accuracy.set_xlabel("step")
    _legend(loss, columns=3)
    return [loss, accuracy]


def plot_residual_rank_over_steps(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Rank of W - W0 over steps, under a dashed line at the 784 pixels."""
    (panel,) = _axes("residual_rank_over_steps", axes)
    widths = [*dict.fromkeys(frame[frame["start"] == "identity"]["width"])]
    others = iter(SERIES[1:])
    for (start, width), rows in frame.groupby(["start", "width"], sort=False):
        if start == "identity":  # equal curves: rings of four sizes stay visible
            place = widths.index(width)
            style: dict[str, Any] = {
                "markersize": 12 - 3 * place,
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
    panel.set_ylim(0, max(1060.0, _finite_max(frame["rank"]) * 1.05))
    panel.set_xticks(sorted(set(frame["step"])))
    panel.set_xlabel("step")
    panel.set_ylabel("rank of W - W0")
    _legend(panel, columns=2)
    return panel


def plot_weight_histograms(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Shares of weights after training; the share of exact zeros is a bar apart."""
    panels = _axes("weight_histograms", axes)
    groups = frame.groupby("start", sort=False)
    for panel, (start, rows) in zip(panels, groups, strict=True):
        atom = rows["low"] == rows["high"]
        bins, share = rows[~atom], float(rows[atom]["share"].sum())
        left, width = float(bins["low"].min()), float((bins["high"] - bins["low"]).iloc[0])
        _logarithmic(panel)  # an atom of 60 % and bins of 0.1 % are both to be seen
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


def plot_learning_rates(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Accuracy of starts by learning rates, as a small heat map for each optimizer."""
    panels = _axes("learning_rates", axes)
    for panel, (optimizer, rows) in zip(
        panels, frame.groupby("optimizer", sort=False), strict=True
    ):
        table = rows.pivot_table(
            index="start", columns="lr", values="accuracy", sort=False, dropna=False
        )
        cells = [[_share(value) for value in row] for row in table.to_numpy()]
        _cells(panel, cells, [*table.index], [f"{lr:g}" for lr in table.columns])
        panel.set_title(str(optimizer))
    panels[-1].set_xlabel("learning rate; cells: test accuracy (share)")
    return panels


def plot_waking_layers(frame: pd.DataFrame, axes: Any = None) -> Any:
    """How far each layer has moved after each step; an empty cell has not moved at all."""
    panels = _axes("waking_layers", axes)
    top = _finite_max(frame["distance"]) or 1.0
    for panel, (start, rows) in zip(panels, frame.groupby("start", sort=False), strict=True):
        table = rows.pivot_table(index="layer", columns="step", values="distance", sort=False)
        cells = [
            [(0.0, "0") if value == 0 else (0.3 + 0.7 * value / top, _compact(value))
             for value in row] for row in table.to_numpy()
        ]  # fmt: skip
        _cells(panel, cells, [*table.index], [str(step) for step in table.columns])
        panel.set_title(str(start))
    panels[-1].set_xlabel("step; cells: norm of W - W0")
    return panels


def plot_signal_over_depth(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Mean square of activations and norm of gradients over layers, on logarithmic axes."""
    signal, gradient = _axes("signal_over_depth", axes)
    for panel, measure in ((signal, "signal"), (gradient, "gradient")):
        _lines(panel, frame[frame["measure"] == measure], by="start", x="layer")
        _logarithmic(panel)
    signal.set_ylabel("mean square of activations")
    gradient.set_ylabel("norm of gradient")
    gradient.set_xlabel("layer")
    _legend(signal, columns=2)
    return [signal, gradient]


def plot_width_transfer(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Change of hidden2's outputs by one Adam step, over width."""
    (panel,) = _axes("width_transfer", axes)
    _lines(panel, frame, by="rates", x="width")
    panel.set_xscale("log", base=2)
    widths = sorted(set(frame["width"]))
    panel.set_xticks(widths, [str(width) for width in widths])
    panel.minorticks_off()
    panel.set_ylim(bottom=0)
    panel.set_xlabel("width (units)")
    panel.set_ylabel("change of hidden2's outputs")
    _legend(panel, columns=2)
    return panel


def plot_attention_rank(frame: pd.DataFrame, axes: Any = None) -> Any:
    """How far apart tokens are behind layers of attention; 0 means that all are equal."""
    (panel,) = _axes("attention_rank", axes)
    values = ["mean", "lowest", "highest"]
    _lines(panel, frame.assign(**frame[values].clip(lower=ALL_EQUAL)), by="skips", x="depth")
    panel.set_yscale("log")
    panel.set_ylim(ALL_EQUAL / 2, 2)
    panel.set_yticks(
        [ALL_EQUAL, 1e-8, 1e-6, 1e-4, 1e-2, 1], ["0", "1e-8", "1e-6", "1e-4", "0.01", "1"]
    )
    panel.minorticks_off()
    panel.set_xlabel("layers of attention")
    panel.set_ylabel("distance of tokens from their mean")
    _legend(panel, columns=2)
    return panel


def plot_rounding_envelope(frame: pd.DataFrame, axes: Any = None) -> Any:
    """Distance from the recorded trajectory over steps, with the allowed region as a band."""
    (panel,) = _axes("rounding_envelope", axes)
    steps = sorted(set(frame["step"]))
    places = {step: place for place, step in enumerate(steps)}
    shown = frame.assign(place=[places[step] for step in frame["step"]])
    _lines(panel, shown, by="run", x="place", y="r")
    _logarithmic(panel)
    low, high = 0.007, max(100.0, _finite_max(shown["r"]) * 2)
    panel.set_ylim(low, high)
    panel.axhspan(low, ENVELOPE_LIMIT, color=SERIES[2], alpha=0.12, linewidth=0)
    panel.axhline(ENVELOPE_LIMIT, color=INK, linestyle=(0, (5, 3)), linewidth=1.5)
    panel.text(len(steps) - 1, ENVELOPE_LIMIT * 0.8, f"{ENVELOPE_LIMIT} allowed", color=INK,
               ha="right", va="top")  # fmt: skip
    panel.set_xticks(range(len(steps)), [str(step) for step in steps])
    panel.set_xlabel("step")
    panel.set_ylabel("distance (rounding envelopes)")
    _legend(panel, columns=2)
    return panel


#: Panels from top to bottom, and the height of the figure in inches.
PANELS = {
    "learning_curves": (2, 5.0), "residual_rank_over_steps": (1, 4.0),
    "weight_histograms": (3, 4.6), "learning_rates": (3, 5.6), "waking_layers": (2, 4.4),
    "signal_over_depth": (2, 5.0), "width_transfer": (1, 3.2), "attention_rank": (1, 3.2),
    "rounding_envelope": (1, 3.7),
}  # fmt: skip
PLOTS: dict[str, Callable[..., Any]] = {
    name: globals()[f"plot_{name}"] for name in PANELS
}  # by name of picture


def svg(picture: Picture, *, standalone: bool = False, prefix: str = "") -> str:
    """The picture as an ``<svg>`` element of a page, or as a whole file; empty without rows.

    ``prefix`` keeps the ids of two drawings on one page apart.
    """
    if not picture.rows or picture.name not in PLOTS:
        return ""
    import matplotlib as mpl
    import pandas as pd
    from matplotlib.figure import Figure

    count, height = PANELS[picture.name]
    frame = pd.DataFrame(picture.rows, columns=picture.columns)
    label = f"{picture.title}. {picture.text}"
    # A run that is all NaN is drawn as an empty panel; pytest would make its warning an error.
    with warnings.catch_warnings(), mpl.rc_context(mpl.rcParamsDefault | STYLE):
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        PLOTS[picture.name](frame, figure.subplots(count, 1, squeeze=False)[:, 0])
        write = vector.alone if standalone else vector.inline
        return write(figure, prefix + picture.name, label)


# --- parts ----------------------------------------------------------------------------------------


def _axes(name: str, axes: Any) -> list[Axes]:
    """The given axes as a list, or those of a figure of pyplot that is opened for the picture."""
    count, height = PANELS[name]
    if axes is None:
        import matplotlib.pyplot as plt

        with plt.rc_context(STYLE):
            _, axes = plt.subplots(
                count, 1, figsize=(WIDTH, height), layout="constrained", squeeze=False
            )
        axes = axes[:, 0]
    given = [*axes] if isinstance(axes, Sequence) or hasattr(axes, "__len__") else [axes]
    if len(given) != count:
        raise ValueError(
            f"The picture {name} has {count} panels, and {len(given)} axes were given."
        )
    return given


def _lines(panel: Axes, frame: pd.DataFrame, *, by: str, x: str, y: str = "mean") -> None:
    """A line per group, with the range over seeds behind it."""
    styles = zip(SERIES, cycle(MARKERS), cycle(DASHES), strict=False)
    for (name, rows), (colour, marker, dash) in zip(
        frame.groupby(by, sort=False), styles, strict=False
    ):
        panel.plot(
            rows[x], rows[y], color=colour, marker=marker, linestyle=dash, markersize=4.5,
            label=str(name),
        )  # fmt: skip
        if y == "mean":
            panel.fill_between(
                rows[x], rows["lowest"], rows["highest"], color=colour, alpha=0.18, linewidth=0
            )


def _cells(
    panel: Axes, cells: Sequence[Sequence[tuple[float, str]]], rows: Sequence[str],
    columns: Sequence[str],
) -> None:  # fmt: skip
    """A table of coloured cells: each has a strength from 0 to 1 and a text."""
    from matplotlib.patches import Rectangle

    for row, each in enumerate(cells):
        for column, (strength, text) in enumerate(each):
            share = min(max(strength, 0.0), 1.0) if math.isfinite(strength) else 0.0
            alpha = PALE + (STRONG - PALE) * share
            panel.add_patch(Rectangle(
                (column - 0.48, row - 0.46), 0.96, 0.92, facecolor=SERIES[0], alpha=alpha,
                linewidth=0,
            ))  # fmt: skip
            panel.text(column, row, text, color=INK, ha="center", va="center", fontsize=10)
    panel.set_xlim(-0.5, len(columns) - 0.5)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_xticks(range(len(columns)), columns)
    panel.set_yticks(range(len(rows)), rows)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)


def _compact(value: float) -> str:
    """A number that fits into a cell: two digits, or one with a power of ten."""
    return f"{value:.2g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def _share(value: float) -> tuple[float, str]:
    """The strength and the text of a cell with a share."""
    return value, "NaN" if math.isnan(value) else f"{value:.2f}"


def _logarithmic(panel: Axes) -> None:
    """A logarithmic axis with ticks at powers of ten, as plain text."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    panel.set_yscale("log", nonpositive="clip")
    panel.yaxis.set_major_locator(LogLocator(numticks=6))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _finite_max(values: Any) -> float:
    return float(max((value for value in values if value < float("inf")), default=1.0))


def _legend(panel: Axes, *, columns: int) -> None:
    """The names of the lines above the panel."""
    panel.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, handlelength=2.2,
        columnspacing=1.2, borderaxespad=0.2,
    )  # fmt: skip
