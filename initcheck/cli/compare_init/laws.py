"""The law that a start follows: how the variance of its weights depends on each layer's fans."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from initcheck.inspection.laws import LAWS, Variance
from initcheck.probes.starts import fans

CLOSE, ERRORS = 0.05, 4  # largest relative distance from a law, and standard errors on top of it
ORTHOGONAL = 1e-3  # largest relative distance of a singular value from the others

#: Laws with a factor that is measured.
SHAPES: dict[str, Variance] = {
    "{:.2g} / fan-in": lambda inputs, outputs: 1 / inputs,
    "{:.2g} / fan-out": lambda inputs, outputs: 1 / outputs,
    "{:.2g} / (fan-in + fan-out)": lambda inputs, outputs: 1 / (inputs + outputs),
    "constant, variance {:.2g}": lambda inputs, outputs: 1.0,
}


def implied_law(weights: Mapping[str, Tensor]) -> str:
    """The law of a start in words.

    Args:
        weights: stacked weights ``(R, O, I, *kernel)`` of at least two layers whose fans differ.
    """
    variances = {name: float(w.double().square().mean()) for name, w in weights.items()}
    if not any(variances.values()):
        return "zero"
    if all(map(_orthogonal, weights.values())):
        return "orthogonal"
    both = {name: fans(weight) for name, weight in weights.items()}
    allowed = {name: CLOSE + ERRORS * math.sqrt(2 / w.numel()) for name, w in weights.items()}

    def fits(expected: Variance) -> bool:
        distances = {n: abs(variances[n] / expected(*both[n]) - 1) for n in weights}
        return all(distances[name] <= allowed[name] for name in weights)

    for law, variance in LAWS.items():
        if fits(variance):
            return law
    for law, shape in SHAPES.items():
        factors = [variances[name] / shape(*both[name]) for name in weights]
        middle = math.exp(sum(math.log(max(f, 1e-300)) for f in factors) / len(factors))
        if fits(lambda inputs, outputs, m=middle, s=shape: m * s(inputs, outputs)):  # type: ignore[misc]
            return law.format(middle)
    gains = [variances[name] * both[name][0] for name in weights]
    return f"none of the known, gain² {min(gains):.2g} to {max(gains):.2g}"


def _orthogonal(weight: Tensor) -> bool:
    """Whether all singular values of each replica's weight, as a matrix (O, I), are equal."""
    values = torch.linalg.svdvals(weight.double().flatten(2))  # (R, min(O, I))
    largest, smallest = values.amax(1), values.amin(1)
    return bool((smallest >= (1 - ORTHOGONAL) * largest).all())
