"""Compares initializers with the usual ones, in each of the networks of the conformance claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from initcheck import Adam, Arm, Recipe
from initcheck.cli.compare_init.laws import implied_law
from initcheck.gate import seeds
from initcheck.gate.trainer import Laboratory
from initcheck.initializers import (
    Initializer,
    every,
    glorot_normal_,
    he_normal_,
    lecun_normal_,
    orthogonal_,
    torch_default,
    zeros_,
)
from initcheck.networks import Network
from initcheck.networks import conformance as networks
from initcheck.probes import test_accuracy
from initcheck.probes.conformance import RATES, VANISHED, changes

REGIMES: dict[str, Callable[[str], Network]] = {
    "plain": networks.deep,
    "mixed": networks.mixed,
    "residual": networks.residual,
    "embedding": networks.embedded,
}
USUAL = (
    every(he_normal_, zeros_, "He"),
    every(glorot_normal_, zeros_, "Glorot"),
    every(lecun_normal_, zeros_, "LeCun"),
    every(orthogonal_(), zeros_, "orthogonal"),
    replace(torch_default, name="torch's default"),
)
STEPS, BATCH = 60, 32
SEEDS = 4
DEVICE = "cpu"


@dataclass(frozen=True)
class Row:
    """One initializer in one regime.

    Attributes:
        regime: the name of the network, a key of ``REGIMES``.
        law: the law of its weights in words.
        signal: decades by which the second moment grows from the first to the last hidden layer,
            mean over seeds; negative if it shrinks, None if it vanishes or is not finite.
        gradient: the same of the gradient, from the last layer to the first.
        distinct: units whose incoming weights differ from those of every other unit of the layer,
            as a share, smallest over seeds.
        rate: the learning rate with the best mean accuracy, or None if every one diverges.
        accuracies: one per seed at that rate, shares of the test images.
        trouble: why it could not be judged, or an empty text.
    """

    regime: str
    name: str
    law: str = ""
    signal: float | None = None
    gradient: float | None = None
    distinct: float | None = None
    rate: float | None = None
    accuracies: tuple[float, ...] = ()
    trouble: str = ""

    @property
    def accuracy(self) -> float | None:
        """Mean accuracy at the best rate."""
        return sum(self.accuracies) / len(self.accuracies) if self.accuracies else None


def compare(
    given: Sequence[Initializer], activation: str = "relu", count: int = SEEDS
) -> Iterator[Row]:
    """Yield a row per regime and initializer: first the given ones, then the usual ones.

    Args:
        given: the user's initializers.
        activation: a key of ``initcheck.networks.ACTIVATIONS``.
        count: seeds per initializer and learning rate.
    """
    laboratory = Laboratory()
    chosen = seeds.stage(seeds.FIRST, count)
    for regime, network in REGIMES.items():
        for initializer in (*given, *USUAL):
            arm = Arm(network(activation), initializer, Recipe(Adam(lr=1e-3), BATCH, 0))
            try:
                yield _row(regime, arm, chosen, laboratory)
            except Exception as error:  # noqa: BLE001 -- a user's function may raise anything
                trouble = f"{type(error).__name__}: {error}"
                yield Row(regime, initializer.name, trouble=trouble)


def _row(regime: str, arm: Arm, chosen: Sequence[int], laboratory: Laboratory) -> Row:
    start = laboratory.trained(arm, chosen, DEVICE)
    signal, gradient = changes(start)
    weights = _weights(start.start)
    rate, accuracies = _best(arm, chosen, laboratory)
    return Row(
        regime, arm.initializer.name, implied_law(weights), _mean(signal), _mean(gradient),
        min(_distinct(weights)), rate, accuracies,
    )  # fmt: skip


def _best(
    arm: Arm, chosen: Sequence[int], laboratory: Laboratory
) -> tuple[float | None, tuple[float, ...]]:
    """The best of three learning rates and its accuracies; one that diverges counts as none."""
    best: tuple[float | None, tuple[float, ...]] = None, ()
    for rate in RATES:
        recipe = Recipe(Adam(lr=rate), BATCH, STEPS)
        found = laboratory.values(test_accuracy, replace(arm, recipe=recipe), chosen, DEVICE)
        if all(map(math.isfinite, found)) and (not best[1] or sum(found) > sum(best[1])):
            best = rate, tuple(found)
    return best


def _mean(values: Tensor) -> float | None:
    there = bool((values.isfinite() & (values > -VANISHED)).all())
    return float(values.mean()) if there else None


def _weights(start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of all layers but the output: ``(R, O, I, *kernel)``."""
    return {
        name: weight for name, weight in start.items()
        if weight.dim() > 2 and not name.startswith("output")
    }  # fmt: skip


def _distinct(weights: Mapping[str, Tensor]) -> list[float]:
    shares = []
    for of_replica in zip(*weights.values(), strict=True):
        rows = [weight.flatten(1) for weight in of_replica]
        apart = sum(_units_apart(each) for each in rows)
        shares.append(apart / sum(map(len, rows)))
    return shares


def _units_apart(rows: Tensor) -> int:
    """How many rows differ from every other one in some bit."""
    _, counts = torch.unique(rows, dim=0, return_counts=True)
    return int((counts == 1).sum())
