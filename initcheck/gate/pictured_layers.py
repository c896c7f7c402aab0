"""Pictures of layers: the rank of a residual, waking, signals, gradients and attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch

from initcheck.arms import SGD, Arm, Recipe
from initcheck.gate.pictured import Drawing, Source, spread
from initcheck.gate.reference import layers_at_start
from initcheck.initializers import (
    Initializer,
    every,
    hadamard_,
    he,
    he_normal_,
    lecun,
    partial_identity_,
    randn_,
    scaled_,
    torch_default,
    zeros_,
)
from initcheck.networks import mlp
from initcheck.networks.attention import attention
from initcheck.probes.attention import tokens_apart
from initcheck.probes.ranks import rank
from initcheck.report.formatting import number
from initcheck.training.train import Trained

START = Recipe(SGD(lr=0.1), batch=32, steps=0)  # trains nothing; that of the claims about starts

# --- residual rank --------------------------------------------------------------------------------

PIXELS, SQUARE = 784, "hidden3.weight"
RANK_STEPS = (1, 2, 4, 8, 14, 20)
# The notebook's batch, and seven times its learning rate, so that 20 steps show the difference.
RANK_RECIPE = Recipe(SGD(lr=0.7), 64, RANK_STEPS[-1], keep_at=RANK_STEPS, keep=(SQUARE,))
WIDE = 1024
STARTS = {"random (He)": he, "ZerO (Hadamard)": every(hadamard_, name="hadamard")}
IDENTITY = every(partial_identity_, name="partial identity")


def residual_rank_over_steps(source: Source) -> pd.DataFrame:
    """The numerical rank of W - W0 over steps; W is the square layer after the widening one.

    Returns:
        The columns ``start``, ``width`` (units), ``step`` and ``rank``, of one seed.
    """
    identities = [("identity", IDENTITY, width) for width in (PIXELS, 832, 896, WIDE)]
    rows = []
    for name, start, width in [*identities, *((n, s, WIDE) for n, s in STARTS.items())]:
        network = mlp(PIXELS, PIXELS, width, width, 10, bias=False)
        trained = source.trained(Arm(network, start, RANK_RECIPE, name=name), count=1)
        source.laboratory.release(trained.arm, source.device)  # 50 MB, and no other picture's
        rows += [{"width": width} | row for row in _ranks(trained)]
    return pd.DataFrame(rows)[["start", "width", "step", "rank"]]


def _ranks(trained: Trained) -> Iterator[dict[str, Any]]:
    before = trained.start[SQUARE]
    for step in RANK_STEPS:
        moved = trained.kept[step][SQUARE].cpu() - before
        yield {"start": trained.arm.label, "step": step, "rank": float(rank(moved)[0])}


def _rank_text(frame: pd.DataFrame) -> str:
    last = frame[frame["step"] == frame["step"].max()]
    ends = [f"{row.start} at {row.width} units {number(row.rank)}" for row in last.itertuples()]
    return f"Rank of W - W0 after {last['step'].iloc[0]} steps: {', '.join(ends)}; pixels 784."


# --- waking layers --------------------------------------------------------------------------------

WIDTHS = (784, 64, 32, 32, 10)
LAYERS = ("hidden1", "hidden2", "hidden3", "output")
PARAMETERS = tuple(f"{layer}.{what}" for layer in LAYERS for what in ("weight", "bias"))
WAKING_STEPS = tuple(range(1, len(LAYERS) + 3))
WAKING = Recipe(
    SGD(lr=0.1), batch=32, steps=len(WAKING_STEPS), keep_at=WAKING_STEPS, keep=PARAMETERS
)
RANDOM_BIASES = every(zeros_, randn_, "zero weights, N(0, 1) biases")


def waking_layers(source: Source) -> pd.DataFrame:
    """How far each layer's weight has moved after each of the first steps.

    Returns:
        The columns ``start``, ``layer``, ``step`` and ``distance``, the mean norm of W - W0 over
        four seeds in units of a weight; exactly 0 while the layer has had no gradient.
    """
    rows = []
    for start in (RANDOM_BIASES, torch_default):
        name = "torch's default" if start is torch_default else start.name
        trained = source.trained(Arm(mlp(*WIDTHS), start, WAKING, name=name))
        for layer in LAYERS:
            weight = f"{layer}.weight"
            for step in WAKING_STEPS:
                moved = trained.kept[step][weight].cpu().double() - trained.start[weight].double()
                distance = float(moved.flatten(1).norm(dim=1).mean())
                row = {"start": name, "layer": layer, "step": step, "distance": distance}
                rows.append(row)
    return pd.DataFrame(rows)


def _waking_text(frame: pd.DataFrame) -> str:
    parts = []
    for start, rows in frame.groupby("start", sort=False):
        moved = rows[rows["distance"] > 0].groupby("layer", sort=False)["step"].min()
        woken = [f"{layer} at step {moved[layer]}" for layer in LAYERS if layer in moved]
        parts.append(f"{start}: {', '.join(reversed(woken))}")
    return f"First step at which each layer moves. {'. '.join(parts)}."


# --- signal over depth ----------------------------------------------------------------------------

DEPTH, UNITS = 16, 64


def _depth_starts() -> dict[str, Initializer]:
    large = every(scaled_(he_normal_, 2**0.5), zeros_, "twice He's variance")
    return {
        "He (variance 2 / n)": he,
        "LeCun (1 / n)": lecun,
        "torch's default (1 / 3n)": torch_default,
        "4 / n": large,
    }


def signal_over_depth(source: Source) -> pd.DataFrame:
    """Mean square of each layer's activations, and norm of each weight's gradient, at the start.

    Returns:
        The columns ``start``, ``layer`` (1 is next to the images), ``measure`` (``signal``, in
        squared units of an activation, or ``gradient``, in nats per unit of a weight), and
        ``mean``, ``lowest`` and ``highest`` over two seeds.
    """
    network = mlp(784, *[UNITS] * DEPTH, 10)
    rows = []
    for name, start in _depth_starts().items():
        arm = Arm(network, start, START, name=name)
        marks = layers_at_start(arm, source.trained(arm))
        for layer in range(1, DEPTH + 1):
            of_layer = {"signal": f"relu{layer}", "gradient": f"hidden{layer}.weight gradient"}
            for measure, key in of_layer.items():
                values = torch.tensor(marks[key], dtype=torch.float64).flatten()
                row = {"start": name, "layer": layer, "measure": measure}
                rows.append(row | spread(values))
    return pd.DataFrame(rows)


def _depth_text(frame: pd.DataFrame) -> str:
    signals = frame[frame["measure"] == "signal"]
    parts = []
    for start, rows in signals.groupby("start", sort=False):
        first, last = rows["mean"].iloc[0], rows["mean"].iloc[-1]
        parts.append(f"{start} {number(first)} to {number(last)}")
    return f"Mean square of activations, from layer 1 to {DEPTH}: {'; '.join(parts)}."


# --- rank of attention ----------------------------------------------------------------------------

DEPTHS, WIDTH = (1, 2, 3, 4, 6, 8), 64


def attention_rank(source: Source) -> pd.DataFrame:
    """How far apart the tokens of an image still are behind layers of attention, at the start.

    Returns:
        The columns ``skips`` (``with skips`` or ``without``), ``depth`` (layers), and ``mean``,
        ``lowest`` and ``highest`` over seeds of the norm of tokens less their mean over that of
        the tokens; 0 means that all tokens are equal.
    """
    rows = []
    for name, skip in (("with skips", True), ("without skips", False)):
        for depth in DEPTHS:
            arm = Arm(attention(depth, WIDTH, skip=skip), torch_default, START)
            apart = tokens_apart(source.trained(arm))
            rows.append({"skips": name, "depth": depth} | spread(apart))
    return pd.DataFrame(rows)


def _attention_text(frame: pd.DataFrame) -> str:
    last = frame[frame["depth"] == frame["depth"].max()]
    ends = [f"{row.skips} {number(row.mean)}" for row in last.itertuples()]
    return f"Distance of tokens from their mean behind {DEPTHS[-1]} layers: {', '.join(ends)}."


DRAWINGS = (
    Drawing(
        "residual_rank_over_steps", "Identity starts cap the rank of W - W0 at the pixels",
        ("residual rank", "hadamard", "identity trains"),
        residual_rank_over_steps, _rank_text,
        "An identity start copies pixels and pads with zeros, which no gradient reaches; a "
        "Hadamard transform mixes the pixels into all units.",
        {"width": "units"},
    ),
    Drawing(
        "waking_layers", "Layers wake one step after another, from the output backward",
        ("layers wake in turn", "symmetry", "bias only"),
        waking_layers, _waking_text,
        "A gradient passes back only through weights that have already moved.",
    ),
    Drawing(
        "signal_over_depth", "Signal forward, gradient backward, at the start",
        ("deep relu", "gradients in depth", "gains", "trainable depth", "init laws"),
        signal_over_depth, _depth_text,
        "Each layer multiplies the signal by n / 2 times the variance of its weights, so only"
        " 2 / n keeps it.",
        {"depth": "layers"},
    ),
    Drawing(
        "attention_rank", "Without skips, attention makes all tokens equal",
        ("attention", "depth of transformers", "transformer starts"),
        attention_rank, _attention_text,
        "Attention replaces tokens by averages of tokens; skips keep what is averaged away.",
        {"depth": "layers"},
    ),
)  # fmt: skip
