"""Weights drawn independently of one another: a law, and the fans that set its scale.

Note [Fans]
    torch's conventions, on a weight of shape (out, in, *kernel):
    fan_in = in * prod(kernel), fan_out = out * prod(kernel).
    A grouped convolution stores in / groups, so fan_in counts the connections that are there, while
    fan_out counts `groups` times too many. A transposed convolution stores
    (in, out / groups, *kernel), so its fans are exchanged. Both are kept as torch has them, for
    that is what its users get.

Whatever torch.nn.init has is called there, through the module and at call time, so that a fault in
torch is seen here.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import init

from initcheck.initializers.factory import TensorInitializer, factory

"""Fills a tensor on the CPU in place, with randomness from the generator alone, and returns it."""


STD_OF_TRUNCATED_NORMAL = 0.8796256610  # of N(0, 1) cut at +-2: sqrt(1 - 4 pdf(2) / (2 cdf(2) - 1))


def fan_in(weight: Tensor) -> int:
    """Inputs of one output unit, from a weight of shape (out, in, *kernel); see Note [Fans]."""
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
    """N(0, 1) whatever the fan-in: what `torch.randn` gives, any shape."""
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

    Also the initializer that SELU's fixed point asks for: Klambauer et al., arXiv 1706.02515.
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
    """U(+-1 / sqrt(fan_in)), shape (out, in, *kernel): what torch's own layers start with.

    A variance of 1 / (3 fan_in), which torch spells as He's for a leaky ReLU of slope sqrt(5).
    """
    return init.kaiming_uniform_(tensor, a=math.sqrt(5), generator=generator)


@factory
def positive_uniform_(rule: Literal["he", "lecun"]) -> TensorInitializer:
    """U(0, 1) times He's or LeCun's standard deviation, shape (out, in, *kernel).

    A fault kept on purpose: `torch.rand` taken for a uniform law around zero. No weight is
    negative.

    Raises:
        ValueError: for another rule.
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
    """A normal law cut at twice its own standard deviation, widened so that `std` is what is left.

    Any shape. torch's bounds are absolute, so they are given in units of the uncut normal.
    """
    parent = std / STD_OF_TRUNCATED_NORMAL
    edge = 2 * parent

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        return init.trunc_normal_(tensor, std=parent, a=-edge, b=edge, generator=generator)

    return fill


@factory
def siren_(omega: float, *, first: bool = False) -> TensorInitializer:
    """U(+-sqrt(6 / fan_in) / omega), for layers that compute sin(omega * (W x + b)).

    Shape (out, in, *kernel). The first layer, whose inputs are coordinates, has U(+-1 / fan_in).
    Source: Sitzmann et al., arXiv 2006.09661 section 3.2; the bound of the first layer is from the
    authors' code.
    """

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        inputs = fan_in(tensor)
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / omega
        return init.uniform_(tensor, -bound, bound, generator=generator)

    return fill


@factory
def scaled_(initializer: TensorInitializer, factor: float) -> TensorInitializer:
    """What `initializer` gives, times `factor`."""

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        initializer(tensor, generator)
        return tensor.mul_(factor)

    return fill


@factory
def sign_of_(initializer: TensorInitializer) -> TensorInitializer:
    """The signs of what `initializer` gives, all with one magnitude: the draw's standard deviation.

    Source: Zhou et al., arXiv 1905.01067.
    """

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        initializer(tensor, generator)
        std = tensor.std(correction=0)  # of these numbers, not an estimate: one element has one too
        return tensor.sign_().mul_(std)

    return fill


@factory
def magnitude_of_(initializer: TensorInitializer) -> TensorInitializer:
    """The magnitudes of what `initializer` gives, all positive: the counterpart of `sign_of_`."""

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        initializer(tensor, generator)
        return tensor.abs_()

    return fill
