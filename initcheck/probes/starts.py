"""Starts: variance, mean, bounds, identities, orthonormality, and use of the generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from initcheck.arms import DTYPES, derived, stream
from initcheck.probes.probe import largest
from initcheck.training.train import Trained

# The variance of a weight, from the layer's inputs and outputs: Glorot & Bengio 2010 eq. 12 and 16,
# He et al. arXiv 1502.01852 eq. 10, LeCun et al. 1998 eq. 16.
LAWS: dict[str, Callable[[int, int], float]] = {
    "glorot": lambda inputs, outputs: 2 / (inputs + outputs),
    "he": lambda inputs, outputs: 2 / inputs,
    "lecun": lambda inputs, outputs: 1 / inputs,
}
KURTOSIS = {"normal": 3.0, "uniform": 1.8}  # fourth moment over squared variance
CUT_KURTOSIS = 2.3655  # of N(0, 1) cut at +-2: 3 + scipy.stats.truncnorm(-2, 2).stats("k")


def fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a stacked weight ``(R, O, I, *kernel)``."""
    field = weight.shape[3:].numel()
    return weight.shape[2] * field, weight.shape[1] * field


def variance_error(trained: Trained, laws: Mapping[str, str], shape: str = "normal") -> Tensor:
    """Largest distance of a weight's second moment from its law's variance, in standard errors.

    Args:
        trained: an arm; only its start is read.
        laws: for each weight the name of its law in ``LAWS``.
        shape: ``normal`` or ``uniform``, which determines the standard error.
    """
    return _worst([_variance_error(trained.start[name], laws[name], shape) for name in laws])


def _variance_error(weight: Tensor, law: str, shape: str) -> Tensor:
    entries = weight[0].numel()
    ratio = weight.double().square().flatten(1).mean(1) / LAWS[law](*fans(weight))
    return (ratio - 1).abs() / math.sqrt((KURTOSIS[shape] - 1) / entries)


def moment_error(trained: Trained, layer: str, std: float) -> Tensor:
    """Distance of a weight's second moment from ``std``², in standard errors for a cut at +-2."""
    weight = trained.start[layer]
    ratio = weight.double().square().flatten(1).mean(1) / std**2
    return (ratio - 1).abs() / math.sqrt((CUT_KURTOSIS - 1) / weight[0].numel())


def trace_error(trained: Trained) -> Tensor:
    """Distance of the mean trace of all square weights from zero, in standard errors.

    The trace of an orthogonal matrix that is uniform under rotations has mean 0 and variance 1:
    Diaconis & Shahshahani 1994, J. Appl. Probab. 31A, 49.
    """
    square = [w.double() for w in _weights(trained) if w.shape[1] == w.shape[2]]
    traces = torch.stack([w.diagonal(dim1=1, dim2=2).sum(1) for w in square])  # (K, R)
    return traces.mean(0).abs() * math.sqrt(len(square))


def singular_value_error(trained: Trained, gain: float) -> Tensor:
    """Largest relative distance of a singular value of any weight matrix from the gain."""
    values = [torch.linalg.svdvals(w.double()) for w in _weights(trained)]  # (R, min(O, I))
    return _worst([largest((s / gain - 1).abs()) for s in values])


def mean_error(trained: Trained) -> Tensor:
    """Largest distance of the mean of a weight matrix from zero, in standard errors."""
    return _worst([_mean_error(weight) for weight in _weights(trained)])


def _mean_error(weight: Tensor) -> Tensor:
    flat = weight.double().flatten(1)
    return flat.mean(1).abs() / (flat.std(1) / math.sqrt(flat.shape[1]))


def bound_reached(trained: Trained, layer: str, law: str) -> Tensor:
    """Largest absolute weight over the bound of the uniform law, sqrt(3 variance)."""
    weight = trained.start[layer]
    return largest(weight.abs()) / math.sqrt(3 * LAWS[law](*fans(weight)))


def default_variance_error(trained: Trained) -> Tensor:
    """Largest distance of a weight's second moment from 1 / (3 fan-in), in standard errors.

    That is the variance of U(+-1 / sqrt(fan-in)), from which torch draws its layers' weights.
    """
    return _worst([_default_variance_error(weight) for weight in _weights(trained)])


def _default_variance_error(weight: Tensor) -> Tensor:
    ratio = weight.double().square().flatten(1).mean(1) * 3 * fans(weight)[0]
    return (ratio - 1).abs() / math.sqrt((KURTOSIS["uniform"] - 1) / weight[0].numel())


def default_bound_reached(trained: Trained) -> Tensor:
    """Largest absolute weight or bias of any layer, times sqrt(fan-in) of its weight."""
    start = trained.start
    reached = []
    for name, weight in start.items():
        if weight.dim() > 2:
            bias = start[f"{name.removesuffix('weight')}bias"]
            extreme = torch.maximum(largest(weight.abs()), largest(bias.abs()))
            reached.append(extreme * math.sqrt(fans(weight)[0]))
    return _worst(reached)


def identity_distance(trained: Trained) -> Tensor:
    """Largest absolute entry of W - I* over all weight matrices; I* has ones on its diagonal."""
    return _worst([largest((weight - _eye(weight)).abs()) for weight in _weights(trained)])


def orthonormal_defect(trained: Trained, layer: str) -> Tensor:
    """Largest absolute entry of Wᵀ W - 1."""
    weight = trained.start[layer].double()
    product = weight.mT @ weight
    return largest((product - _eye(product)).abs())


def magnitude_defect(trained: Trained, layer: str) -> Tensor:
    """Largest distance of an absolute weight from 1 / sqrt(rows)."""
    weight = trained.start[layer].double()
    return largest((weight.abs() - weight.shape[1] ** -0.5).abs())


NORMS = (nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)  # noqa: SLF001 -- of all kinds


def gain_distance(trained: Trained) -> Tensor:
    """Largest distance of a gain of any layer, RMS or batch norm from one, at the start."""
    layers = trained.arm.build(trained.seeds[0]).named_modules()
    norms = [name for name, layer in layers if isinstance(layer, NORMS)]
    return _worst([largest((trained.start[f"{name}.weight"] - 1).abs()) for name in norms])


def randomness_drawn(trained: Trained) -> Tensor:
    """1 if building the start draws from its generator or depends on its seed, else 0."""
    return torch.tensor([_draws(trained, seed) for seed in trained.seeds], dtype=torch.float64)


def _draws(trained: Trained, seed: int) -> float:
    arm, generator = trained.arm, stream(seed, "weights")
    other = arm.network.fresh(derived(seed, "constructor", 1))
    before = generator.get_state()
    arm.initializer(other, generator)
    other.to(DTYPES[arm.recipe.dtype])  # after filling, as in Arm.build, for the same rounding
    built = arm.build(seed + 1)
    same = all(
        torch.equal(a, b) for a, b in zip(other.parameters(), built.parameters(), strict=True)
    )
    return float(not same or not torch.equal(before, generator.get_state()))


def _weights(trained: Trained) -> list[Tensor]:
    return [p for p in trained.start.values() if p.dim() > 2]  # (R, O, I, ...)


def _eye(weight: Tensor) -> Tensor:
    return torch.eye(*weight.shape[-2:], dtype=weight.dtype, device=weight.device)


def _worst(values: list[Tensor]) -> Tensor:
    return torch.stack(values).amax(0)
