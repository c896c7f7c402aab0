"""Depth: how moments, angles and gradients change from layer to layer of a stack, at the start.

The network of the arm is a ``Stack``: M layers of n units, with nothing else between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor, nn

from initcheck.initializers.moments import FUNCTIONS, SHOWN, expectation, second_moment
from initcheck.training.train import Trained

IMAGES = 64
MANY = 256  # inputs where many are averaged, or each unit is normalized over them
SCATTER = 5.0  # variance of |relu(W x)|² / |x|² times n, from He's normal weights


# --- moments --------------------------------------------------------------------------------------


def growth_error(trained: Trained, growth: float) -> Tensor:
    """Distance of a layer's factor on the second moment from ``growth``, in standard errors.

    The factor is the geometric mean over the M layers. For ReLU, one image and normal weights, its
    logarithm has the variance 5 / (n M) at most; the mean over 64 test images scatters less.
    """
    squares = _moments(trained, _images(trained))
    depth = squares.shape[1] - 1
    factor = (squares[:, -1] / squares[:, 0]).log() / depth
    return (factor - math.log(growth)).abs() / math.sqrt(SCATTER / (_width(trained) * depth))


def decades_lost(trained: Trained) -> Tensor:
    """Decades by which the second moment falls from the first pre-activations to the last."""
    squares = _moments(trained, _noise(trained, IMAGES))
    return -(squares[:, -1] / squares[:, 0]).log10()


def first_factor_error(trained: Trained, activation: str) -> Tensor:
    """Distance of the first layer's factor on a second moment of 1 from 1, in standard errors.

    Inputs from N(0, 1) give pre-activations z of N(0, 1). Given the input layer, W act(z) has a
    mean square with the relative variance 2 s² / n, where s is the share of act's squared mean in
    its second moment, and at most 20 / n more for one input, of which 256 are averaged.
    """
    squares = _moments(trained, _noise(trained, MANY))
    share = expectation(FUNCTIONS[activation]) ** 2 / second_moment(activation)
    error = math.sqrt((2 * share**2 + 20 / MANY) / _width(trained))
    return (squares[:, 1] - 1).abs() / error


def added_moment_error(trained: Trained) -> Tensor:
    """Largest relative distance of the moment after l blocks from its start plus l."""
    squares = _moments(trained, _noise(trained, MANY))
    blocks = torch.arange(squares.shape[1])
    return (squares / (squares[:, :1] + blocks) - 1).abs().amax(1)


def last_size(trained: Trained, factor: float = 1.0) -> Tensor:
    """Root mean square of the last pre-activations, times ``factor``."""
    return factor * _moments(trained, _images(trained))[:, -1].sqrt()


def _moments(trained: Trained, inputs: Tensor) -> Tensor:
    """Mean squares of all pre-activations, ``(R, M + 1)`` float64."""
    rows = [[float(z.square().mean()) for z in states] for states in _states(trained, inputs)]
    return torch.tensor(rows, dtype=torch.float64)


# --- norms and angles -----------------------------------------------------------------------------


def depth_norm_change(trained: Trained) -> Tensor:
    """Largest relative change of an image's norm from the first pre-activations to the last."""
    each = [
        (states[-1].norm(dim=1) / states[0].norm(dim=1) - 1).abs().max()
        for states in _states(trained, _images(trained))
    ]
    return torch.stack(each)


def angle_error(trained: Trained, depth: int) -> Tensor:
    """How far 1 - cosine of two images after ``depth`` ReLU layers is from its map, in doublings.

    The map of He's start: Cho & Saul 2009, the arc-cosine kernel of order 1. It begins at each
    pair's own cosine; the distance is of the medians over 32 pairs of test images.
    """
    each = []
    for states in _states(trained, _images(trained)):
        expected = _cosines(states[0])
        for _ in range(depth):
            expected = relu_cosine(expected)
        ratio = (1 - _cosines(states[depth])).median() / (1 - expected).median()
        each.append(ratio.log2().abs())
    return torch.stack(each)


def relu_cosine(cosine: Tensor) -> Tensor:
    """The cosine of relu(W x) and relu(W y), from that of x and y, for infinite width."""
    angle = cosine.clamp(-1, 1).arccos()
    return (angle.sin() + (math.pi - angle) * cosine) / math.pi


def _cosines(states: Tensor) -> Tensor:
    """The cosine of each image and the next, ``(N / 2,)``."""
    return torch.cosine_similarity(states[::2], states[1::2])


def product_decades(trained: Trained) -> Tensor:
    """Decades between the largest and the smallest singular value of the product of all layers."""
    values = []
    for layers in trained.start["layers"]:
        product = torch.linalg.multi_dot([*layers.double()])
        values.append(torch.linalg.svdvals(product))
    spread = torch.stack([s[0] / s[-1] for s in values])
    return spread.log10()


# --- gradients ------------------------------------------------------------------------------------


def gradient_growth_error(trained: Trained, growth: float) -> Tensor:
    """Distance of a layer's factor on the gradient's norm from ``growth``, in logarithms.

    The factor is the geometric mean over the layers, from the last pre-activations back to the
    first, for a random direction at the last ones and 256 inputs from N(0, 1).
    """
    factors = [_gradient_factor(*each) for each in _traced(trained, _noise(trained, MANY))]
    return (torch.stack(factors).log() - math.log(growth)).abs()


def _gradient_factor(states: list[Tensor], direction: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(states[-1], states[0], direction.to(states[-1]))
    ratio = gradient.double().norm() / direction.double().norm()
    factor: Tensor = ratio ** (1 / (len(states) - 1))
    return factor.cpu()


def normalized_growth(activation: str) -> float:
    """The factor of a layer with batch norm on the gradient's norm, for many images.

    sqrt(E act'(z)² / Var act(z)), z from N(0, 1): Yang et al., arXiv 1902.08129, section 4. Rounded
    to 8 decimals, as ``chi1`` is.
    """
    function = FUNCTIONS[activation]
    spread = second_moment(activation) - expectation(function) ** 2
    return round(math.sqrt(_slope_moment(function) / spread), SHOWN)


@cache  # the arms and the probe ask for the same laws, and each takes 500 sums of 24,000 terms
def chi1(std: float, bias_variance: float) -> tuple[float, float]:
    """Tanh's fixed point q of the moment, and the gradient's factor chi_1 per layer there.

    q = std² E tanh(sqrt(q) z)² + bias_variance and chi_1 = std² E tanh'(sqrt(q) z)²:
    Schoenholz et al., arXiv 1611.01232, eq. 3 and 9. Both are rounded to 8 decimals.
    """
    q, before = 1.0, 0.0
    for _ in range(500):  # converges like chi's own series; 500 leave 1e-9 where it is .98
        if abs(q - before) < 1e-13:  # far below what is shown
            break
        q, before = std**2 * second_moment("tanh", q) + bias_variance, q
    return round(q, SHOWN), round(std**2 * _slope_moment(torch.tanh, q), SHOWN)


def _slope_moment(function: Callable[[Tensor], Tensor], variance: float = 1.0) -> float:
    """E f'(z)², z from N(0, variance), by torch's derivative."""

    def squared(z: Tensor) -> Tensor:
        z = z.requires_grad_()
        (slope,) = torch.autograd.grad(function(z).sum(), z)
        return slope.square()

    return expectation(squared, variance)


# --- the spread between networks ------------------------------------------------------------------

KURTOSIS = 22.3  # excess kurtosis of 2 relu(z)², z from N(0, 1): 633 / 25 - 3


def factor_variance_error(trained: Trained) -> Tensor:
    """Distance of n times the variance of a layer's factor on the squared norm from 5.

    In standard errors, over all layers of all networks of ``Many``, for one image. From He's normal
    weights the factors are independent means of n values 2 relu(z)² with mean 1 and variance 5.
    """
    each = []
    for norms in _norms(trained):
        factors = (norms[1:] / norms[:-1]).flatten()
        width = _width(trained)
        error = SCATTER * math.sqrt((2 + KURTOSIS / width) / len(factors))
        each.append((width * (factors - 1).square().mean() - SCATTER).abs() / error)
    return torch.stack(each)


def log_norm_variance(trained: Trained) -> Tensor:
    """Variance between networks of ln |h_L|² / |h_0|², for one image, without dead networks."""
    each = []
    for norms in _norms(trained):
        alive = norms[:, norms[-1] > 0]
        each.append((alive[-1] / alive[0]).log().var())
    return torch.stack(each)


def _norms(trained: Trained) -> Iterator[Tensor]:
    """Squared norms of one image's states, ``(L + 1, networks)`` float64, replica by replica."""
    for states in _states(trained, trained.data.test_inputs[:1]):
        yield torch.stack([state[:, 0].square().sum(-1) for state in states])


# --- states ---------------------------------------------------------------------------------------


def _states(trained: Trained, inputs: Tensor) -> Iterator[list[Tensor]]:
    """All pre-activations of each replica, ``M + 1`` tensors ``(N, n)`` float64 on the CPU."""
    with torch.no_grad():
        for states, _ in _traced(trained, inputs):
            yield [z.cpu().double() for z in states]


def _traced(trained: Trained, inputs: Tensor) -> Iterator[tuple[list[Tensor], Tensor]]:
    """The pre-activations of each replica, connected for autograd, and a direction of the last."""
    module: nn.Module = trained.arm.build(trained.seeds[0]).to(trained.device)
    images = inputs.to(trained.device).clone().requires_grad_()
    for number, state in enumerate(trained.replicas(at_start=True)):
        seen: list[Tensor] = []
        torch.func.functional_call(module, state, (images,), {"seen": seen})
        generator = torch.Generator().manual_seed(number)
        yield seen, torch.randn(seen[-1].shape, generator=generator)


def _images(trained: Trained) -> Tensor:
    return trained.data.test_inputs[:IMAGES]


def _noise(trained: Trained, count: int) -> Tensor:
    """Inputs from N(0, 1), the same for every arm and seed."""
    images = trained.data.test_inputs
    shape = (count, *images.shape[1:])
    return torch.randn(shape, generator=torch.Generator().manual_seed(count)).to(images)


def _width(trained: Trained) -> int:
    return trained.start["layers"].shape[-1]
