"""Pictures of training: accuracy and loss, histograms of weights, learning rates and widths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import torch

from initcheck.arms import SGD, Adam, Arm, Optimizer, Recipe
from initcheck.gate.pictured import Drawing, Source, spread
from initcheck.initializers import he, identity, randn, torch_default, zeros, zeros_
from initcheck.networks import mlp, pooled
from initcheck.probes import test_accuracy
from initcheck.probes.signals import entering
from initcheck.report.formatting import number
from initcheck.training.train import Trained

NOTEBOOK_001 = mlp(784, 64, 32, 32, 10)
LAYERS = ("hidden1", "hidden2", "hidden3", "output")
PARAMETERS = tuple(f"{layer}.{what}" for layer in LAYERS for what in ("weight", "bias"))

# --- loss and accuracy over steps -----------------------------------------------------------------

CURVE_STEPS = (1, 2, 4, 8, 16, 32, 48, 64, 80, 96)
CURVE_RECIPE = Recipe(
    SGD(lr=0.05, momentum=0.9), 32, CURVE_STEPS[-1], keep_at=CURVE_STEPS, keep=PARAMETERS
)
POOLED = pooled(64, 32, 32, 10, by=2)  # notebook 001 on 14 x 14 pixels, a third of the time
STARTS = {
    "He": he,
    "N(0, 1)": randn,
    "all zero": zeros,
    "hidden1 zero": torch_default.but("hidden1.weight", zeros_),
    "identity": identity,
}
WINDOW = 5  # steps over which a loss is averaged, since single batches differ


def learning_curves(source: Source) -> pd.DataFrame:
    """Loss and accuracy over steps, from five starts, over four seeds each.

    Returns:
        The columns ``start``, ``step``, ``measure`` (``training loss`` in nats, mean over five
        steps, or ``test accuracy`` as a share), ``mean``, ``lowest`` and ``highest`` over seeds.
    """
    arms = [Arm(POOLED, start, CURVE_RECIPE, name=name) for name, start in STARTS.items()]
    rows = [row for trained in source.together(arms) for row in _curve(trained)]
    return pd.DataFrame(rows)


def _curve(trained: Trained) -> Iterator[dict[str, Any]]:
    for step in CURVE_STEPS:
        name = {"start": trained.arm.label, "step": step}
        recent = trained.losses[:, max(0, step - WINDOW) : step].mean(1)
        yield name | {"measure": "training loss"} | spread(recent)
        then = replace(trained, parameters=trained.kept[step])
        yield name | {"measure": "test accuracy"} | spread(test_accuracy(then))


def _curves_text(frame: pd.DataFrame) -> str:
    last = frame[(frame["step"] == frame["step"].max()) & (frame["measure"] == "test accuracy")]
    ends = [f"{row.start} {number(row.mean)}" for row in last.itertuples()]
    return f"Test accuracy after {frame['step'].max()} steps: {', '.join(ends)}; guessing is 0.1."


# --- histograms of weights ------------------------------------------------------------------------

WEIGHT_RECIPE = Recipe(Adam(lr=1e-2), batch=32, steps=150)  # that of the claims on a zeroed layer
BINS, WIDEST = 24, 0.3


def weight_histograms(source: Source) -> pd.DataFrame:
    """The weights of hidden1 after training, with exact zeros counted apart.

    Returns:
        The columns ``start``, ``low`` and ``high`` (the ends of a bin, in units of a weight) and
        ``share`` of all weights. The row in which both ends are 0 is the share of exact zeros.
        Weights beyond the ends are in the first and the last bin; what is not finite is in none.
    """
    starts = {name: STARTS[name] for name in ("hidden1 zero", "all zero")}
    starts = {"torch's default": torch_default, **starts}
    arms = [Arm(NOTEBOOK_001, start, WEIGHT_RECIPE, name=name) for name, start in starts.items()]
    rows = []
    for name, trained in zip(starts, source.together(arms), strict=True):
        weights = trained.parameters["hidden1.weight"].cpu().double().flatten()
        edges = torch.linspace(-WIDEST, WIDEST, BINS + 1, dtype=torch.float64)
        moved = weights[(weights != 0) & weights.isfinite()].clamp(-WIDEST, WIDEST)
        counts, _ = torch.histogram(moved, edges)
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
            share = float(count) / len(weights)
            rows.append({"start": name, "low": float(low), "high": float(high), "share": share})
        zero = float((weights == 0).double().mean())
        rows.append({"start": name, "low": 0.0, "high": 0.0, "share": zero})
    return pd.DataFrame(rows)


def _histogram_text(frame: pd.DataFrame) -> str:
    atoms = frame[frame["low"] == frame["high"]]
    shares = [f"{row.start} {number(row.share)}" for row in atoms.itertuples()]
    return f"Share of weights of hidden1 that are exactly 0 after training: {', '.join(shares)}."


# --- learning rates -------------------------------------------------------------------------------

SMALL = pooled(64, 32, 10, by=4)
RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
RATE_STARTS = ("He", "torch's default", "N(0, 1)", "identity")
RATE_STEPS = 40
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "SGD": SGD,
    "SGD with momentum": partial(SGD, momentum=0.9),
    "Adam": Adam,
}


def learning_rates(source: Source) -> pd.DataFrame:
    """Test accuracy after 40 steps for each start, optimizer and learning rate.

    Returns:
        The columns ``optimizer``, ``start``, ``lr`` and ``accuracy``, the mean share over two
        seeds; NaN if a run of them is not finite.
    """
    starts = {**STARTS, "torch's default": torch_default}
    rows = []
    for optimizer, of_rate in OPTIMIZERS.items():
        for lr in RATES:
            recipe = Recipe(of_rate(lr=lr), batch=32, steps=RATE_STEPS)
            arms = [Arm(SMALL, starts[name], recipe, name=name) for name in RATE_STARTS]
            for trained in source.together(arms, count=2):
                accuracy = float(test_accuracy(trained).mean())
                row = {"optimizer": optimizer, "start": trained.arm.label, "lr": lr}
                rows.append(row | {"accuracy": accuracy})
    return pd.DataFrame(rows)


def _rates_text(frame: pd.DataFrame) -> str:
    known = frame.dropna(subset="accuracy")
    best = frame.loc[known.groupby("start", sort=False)["accuracy"].idxmax()]
    parts = [
        f"{row.start} {number(row.accuracy)} ({row.optimizer}, {row.lr:g})"
        for row in best.itertuples()
    ]
    return f"Best test accuracy of each start, with its optimizer and rate: {', '.join(parts)}."


# --- muP's widths ---------------------------------------------------------------------------------

BASE, WIDTHS = 64, (64, 128, 256, 512)
IMAGES = 200


def width_transfer(source: Source) -> pd.DataFrame:
    """How far one step of Adam moves the outputs of hidden2, over width.

    Returns:
        The columns ``rates`` (``one rate`` or ``muP's rates``), ``width`` (units), and ``mean``,
        ``lowest`` and ``highest`` over seeds of the root mean square change (units of an
        activation).
    """
    rows = []
    for width in WIDTHS:
        network = pooled(width, width, 10, by=2)
        scaled = tuple((name, BASE / width) for name in ("hidden2.weight", "output.weight"))
        for name, rates in (("one rate", ()), ("muP's rates", scaled)):
            arm = Arm(network, he, Recipe(Adam(lr=1e-2), batch=32, steps=1, rates=rates), name=name)
            moved = spread(_change(source.trained(arm)))
            rows.append({"rates": name, "width": width} | moved)
    return pd.DataFrame(rows)


def _change(trained: Trained) -> torch.Tensor:
    """Root mean square of the change of hidden2's outputs over training, ``(R,)`` float64."""
    images = trained.data.test_inputs[:IMAGES]
    before, after = (
        torch.stack([x.double().cpu() for x in entering(trained, "relu2", images, at_start=start)])
        for start in (True, False)
    )
    return (after - before).square().mean((1, 2)).sqrt()


def _widths_text(frame: pd.DataFrame) -> str:
    parts = []
    for name, rows in frame.groupby("rates", sort=False):
        ends = (rows["mean"].iloc[0], rows["mean"].iloc[-1])
        parts.append(f"{name}: {number(ends[0])} to {number(ends[1])}")
    first, last = frame["width"].min(), frame["width"].max()
    return (
        f"Change of hidden2 by one step of Adam, from {first} to {last} units: {'; '.join(parts)}."
    )


DRAWINGS = (
    Drawing(
        "learning_curves", "Who learns: loss and accuracy from five starts",
        ("weight scale", "zeroed layer", "symmetry", "depth", "identity trains"),
        learning_curves, _curves_text,
        "Equal hidden units get equal gradients, so an all-zero network stays one unit wide; "
        "N(0, 1) makes signals too large. Bands are the range over four seeds.",
        {"step": "steps"},
    ),
    Drawing(
        "weight_histograms", "A zeroed layer keeps many weights at exactly zero",
        ("zeroed layer", "dead units", "bias only"),
        weight_histograms, _histogram_text,
        "A ReLU unit with zero weights and a negative bias never fires, so it gets no "
        "gradient.",
    ),
    Drawing(
        "learning_rates", "The start decides which learning rates work",
        ("weight scale", "optimizer hides start", "conformance"),
        learning_rates, _rates_text,
        "A step must fit the size of the gradients, and the start sets that size.",
        {"accuracy": "share"},
    ),
    Drawing(
        "width_transfer", "One Adam step moves a wider network more, unless the rate is muP's",
        ("width transfer",),
        width_transfer, _widths_text,
        "A step of Adam changes every weight by about the rate, and a unit adds up as many "
        "changes as it has inputs.",
        {"width": "units"},
    ),
)  # fmt: skip
