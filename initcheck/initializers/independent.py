"""Initializers that draw every weight independently, from a distribution scaled by the fans.

Each fills a tensor in place and returns it. Each calls its function in `torch.nn.init` where there
is one, looked up at call time, so that an error in torch shows in the claims.

Note [Fans]
    torch's conventions, for a weight of shape (out, in, *kernel):
    fan_in = in * prod(kernel), fan_out = out * prod(kernel).
    A grouped convolution stores in / groups, so fan_in counts the real connections, but fan_out
    counts `groups` times too many. A transposed convolution stores (in, out / groups, *kernel), so
    its fans are swapped. Both are kept as in torch, because that is what torch's users get.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import init

from initcheck.initializers.factory import TensorInitializer, factory

# Standard deviation of N(0, 1) truncated at +-2: sqrt(1 - 4 pdf(2) / (2 cdf(2) - 1)).
STD_OF_TRUNCATED_NORMAL = 0.8796256610
STD_OF_ASYMMETRIC = 0.6007  # times 1 / sqrt(fan_in): Lu et al., arXiv 1903.06733, section 4


def fan_in(weight: Tensor) -> int:
    """Return in * prod(kernel) of a weight of shape (out, in, *kernel); see Note [Fans]."""
    return weight.shape[1:].numel()


def zeros_(tensor: Tensor, _generator: torch.Generator) -> Tensor:
    """Zeros, any shape."""
    return init.zeros_(tensor)


def ones_(tensor: Tensor, _generator: torch.Generator) -> Tensor:
    """Ones, any shape."""
    return init.ones_(tensor)


@factory
def constant_(value: float) -> TensorInitializer:
    """`value` everywhere, any shape."""

    def fill(tensor: Tensor, _generator: torch.Generator) -> Tensor:
        return init.constant_(tensor, value)

    return fill


@factory
def normal_(std: float) -> TensorInitializer:
    """N(0, std^2), any shape."""

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        return init.normal_(tensor, std=std, generator=generator)

    return fill


@factory
def uniform_(low: float, high: float) -> TensorInitializer:
    """U(low, high), any shape."""

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        return init.uniform_(tensor, low, high, generator=generator)

    return fill


def randn_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 1) for every fan-in, as `torch.randn` draws it, any shape."""
    return init.normal_(tensor, generator=generator)


def he_normal_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 2 / fan_in), shape (out, in, *kernel): He et al., arXiv 1502.01852 eq. 10."""
    return init.kaiming_normal_(tensor, nonlinearity="relu", generator=generator)


def he_uniform_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """U(+-sqrt(6 / fan_in)), shape (out, in, *kernel): the variance of arXiv 1502.01852 eq. 10."""
    return init.kaiming_uniform_(tensor, nonlinearity="relu", generator=generator)


def he_fan_out_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 2 / fan_out), shape (out, in, *kernel): He et al., arXiv 1502.01852 eq. 14."""
    return init.kaiming_normal_(tensor, mode="fan_out", nonlinearity="relu", generator=generator)


def lecun_normal_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 1 / fan_in), shape (out, in, *kernel): LeCun et al. 1998, "Efficient BackProp" eq. 16.

    SELU's fixed point requires this variance: Klambauer et al., arXiv 1706.02515.
    """
    return init.kaiming_normal_(tensor, nonlinearity="linear", generator=generator)


def lecun_uniform_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """U(+-sqrt(3 / fan_in)), shape (out, in, *kernel): LeCun et al. 1998, eq. 16."""
    return init.kaiming_uniform_(tensor, nonlinearity="linear", generator=generator)


def glorot_normal_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 2 / (fan_in + fan_out)), shape (out, in, *kernel): Glorot & Bengio 2010, eq. 12."""
    return init.xavier_normal_(tensor, generator=generator)


def glorot_uniform_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """U(+-sqrt(6 / (fan_in + fan_out))), shape (out, in, *kernel): Glorot & Bengio 2010, eq. 16."""
    return init.xavier_uniform_(tensor, generator=generator)


def torch_default_weight_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """U(+-1 / sqrt(fan_in)), shape (out, in, *kernel): the default of torch's own layers.

    The variance is 1 / (3 fan_in). torch writes it as He's rule for a leaky ReLU of slope sqrt(5).
    """
    return init.kaiming_uniform_(tensor, a=math.sqrt(5), generator=generator)


@factory
def positive_uniform_(rule: Literal["he", "lecun"]) -> TensorInitializer:
    """U(0, 1) times He's or LeCun's standard deviation, shape (out, in, *kernel).

    A common mistake, reproduced on purpose: `torch.rand` used as if it were centred on zero. No
    weight is negative.

    Raises:
        ValueError: the rule is neither "he" nor "lecun".
    """
    gains = {"he": 2.0, "lecun": 1.0}
    if rule not in gains:
        raise ValueError(f'positive_uniform_ knows the rules "he" and "lecun", not "{rule}".')

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        scale = math.sqrt(gains[rule] / fan_in(tensor))
        return init.uniform_(tensor, generator=generator).mul_(scale)

    return fill


@factory
def trunc_normal_(std: float) -> TensorInitializer:
    """A normal distribution truncated at two standard deviations, any shape.

    The normal is widened first, so that the truncated one has the standard deviation `std`.
    torch's bounds are absolute, so they are computed from the widened normal.
    """
    parent = std / STD_OF_TRUNCATED_NORMAL
    edge = 2 * parent

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        return init.trunc_normal_(tensor, std=parent, a=-edge, b=edge, generator=generator)

    return fill


@torch.no_grad()
def randomized_asymmetric_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """The randomized asymmetric law of weights and bias, shape (..., out, in + 1).

    The last column is the bias. Entries are from N(0, .6007^2 / in), except one per row, at a
    random place, which is positive. Source: Lu et al., arXiv 1903.06733 section 4.
    """
    inputs = tensor.shape[-1] - 1
    init.normal_(tensor, std=STD_OF_ASYMMETRIC / math.sqrt(inputs), generator=generator)
    rows = (*tensor.shape[:-1], 1)
    places = torch.randint(tensor.shape[-1], rows, generator=generator)
    return tensor.scatter_(-1, places, positive_entries(rows, generator).to(tensor.dtype))


def positive_entries(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draws of Beta(2, 1), whose distribution function is x^2 on (0, 1)."""
    return torch.rand(shape, generator=generator).sqrt()


@factory
def siren_(omega: float, *, first: bool = False) -> TensorInitializer:
    """U(+-sqrt(6 / fan_in) / omega), for layers that compute sin(omega * (W x + b)).

    Shape (out, in, *kernel). With `first`, for the layer whose inputs are coordinates:
    U(+-1 / fan_in).
    Source: Sitzmann et al., arXiv 2006.09661 section 3.2; the first layer's bound is from the
    authors' code.
    """

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        inputs = fan_in(tensor)
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / omega
        return init.uniform_(tensor, -bound, bound, generator=generator)

    return fill


@factory
def scaled_(initializer: TensorInitializer, factor: float) -> TensorInitializer:
    """The values of `initializer`, times `factor`."""

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        initializer(tensor, generator)
        return tensor.mul_(factor)

    return fill
