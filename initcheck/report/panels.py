"""Parts of pictures: their panels and style, lines with bands, tables of cells, legends."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import cycle
from typing import TYPE_CHECKING, Any

from initcheck.report.colours import CARD, FAINT, INK, SERIES

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
PALE, STRONG = 0.06, 0.42  # opacity of cells: text on both has a contrast of 4.5 and more
#: Panels from top to bottom, and the height of the figure in inches.
PANELS = {
    "equal_units": (2, 5.0), "learning_curves": (2, 5.0), "residual_rank_over_steps": (1, 4.0),
    "weight_histograms": (3, 4.6), "learning_rates": (3, 5.6), "waking_layers": (2, 4.4),
    "signal_over_depth": (2, 5.0), "width_transfer": (1, 3.2), "attention_rank": (1, 3.2),
    "rounding_envelope": (1, 3.7),
}  # fmt: skip


#: What the table of each picture must have.
CURVES = ("start", "step", "measure", "mean", "lowest", "highest")
COLUMNS = {
    "equal_units": CURVES, "learning_curves": CURVES,
    "residual_rank_over_steps": ("start", "width", "step", "rank"),
    "weight_histograms": ("start", "low", "high", "share"),
    "learning_rates": ("optimizer", "start", "lr", "accuracy"),
    "waking_layers": ("start", "layer", "step", "distance"),
    "signal_over_depth": ("start", "layer", "measure", "mean", "lowest", "highest"),
    "width_transfer": ("rates", "width", "mean", "lowest", "highest"),
    "attention_rank": ("skips", "depth", "mean", "lowest", "highest"),
    "rounding_envelope": ("run", "step", "r"),
}  # fmt: skip
#: Columns that hold texts; all others hold numbers.
WORDS = {"start", "measure", "optimizer", "layer", "rates", "skips", "run"}


class UnfitError(ValueError):
    """A table cannot be drawn: it is another picture's, another program's, or damaged."""


# What pandas and matplotlib raise on tables of other columns, lengths or types.
UNFIT = (
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
    SyntaxError,  # xml: a control character in a name
)  # fmt: skip


def fits(plot: Callable[[pd.DataFrame, Any], Any]) -> Callable[..., Any]:
    """Make ``plot_NAME`` raise UnfitError, with a sentence, on a table of another kind."""
    name = plot.__name__.removeprefix("plot_")

    @wraps(plot)
    def drawn(frame: pd.DataFrame, axes: Any = None) -> Any:
        from pandas import to_numeric

        missing = [each for each in COLUMNS[name] if each not in getattr(frame, "columns", ())]
        if missing:
            there = ", ".join(map(str, getattr(frame, "columns", ()))) or "none"
            raise UnfitError(
                f"The table does not fit the picture {name}: it has no column "
                f"{', '.join(missing)} (its columns: {there}). Draw what "
                f"initcheck.gate.pictures.frame({name!r}) returns."
            )
        given = axes_of(name, axes)
        try:
            for each in set(COLUMNS[name]) - WORDS:
                to_numeric(frame[each])  # matplotlib would draw texts as categories
            return plot(frame, given)
        except UNFIT as error:
            raise UnfitError(
                f"The table does not fit the picture {name}: its values cannot be drawn "
                f"({error}). Draw what initcheck.gate.pictures.frame({name!r}) returns."
            ) from None

    return drawn


def axes_of(name: str, axes: Any) -> list[Axes]:
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


def lines(panel: Axes, frame: pd.DataFrame, *, by: str, x: str, y: str = "mean") -> None:
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


def cells(
    panel: Axes, values: Sequence[Sequence[tuple[float, str]]], rows: Sequence[str],
    columns: Sequence[str],
) -> None:  # fmt: skip
    """A table of coloured cells: each has a strength from 0 to 1 and a text."""
    from matplotlib.patches import Rectangle

    for row, each in enumerate(values):
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


def logarithmic(panel: Axes) -> None:
    """A logarithmic axis with ticks at powers of ten, as plain text."""
    import numpy as np
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    drawn: list[float] = [
        value for line in panel.lines for value in np.asarray(line.get_ydata(), dtype=float)
    ]
    if drawn and not any(math.isfinite(value) and value > 0 for value in drawn):
        return  # nothing of this run has a place on such an axis
    panel.set_yscale("log", nonpositive="clip")
    panel.yaxis.set_major_locator(LogLocator(numticks=6))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))


def power(value: float) -> str:
    """A power of ten as short as it can be: ``1e-6`` and not ``1e-06``."""
    return re.sub(r"e([+-])0*", lambda e: "e" + e[1].replace("+", ""), f"{value:g}")


def finite_max(values: Any) -> float:
    """The largest number that is finite; 1 if there is none."""
    return float(max(filter(math.isfinite, values), default=1.0))


def legend(panel: Axes, *, columns: int) -> None:
    """The names of the lines above the panel."""
    panel.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, handlelength=2.2,
        columnspacing=1.2, borderaxespad=0.2,
    )  # fmt: skip
