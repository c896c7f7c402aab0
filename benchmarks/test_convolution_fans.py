"""Fans of convolutions: what He's law does to the second moment of each kind of layer."""

import math
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck import Arm, Network, claim
from initcheck.initializers import every, he, he_fan_out_, lecun, zeros_
from initcheck.notebooks.arms import START

SIDE, INPUTS = 12, 64  # of the noise that the layers get
KEPT = 0.1  # share of the inputs that a mask keeps
SCATTER = 0.5  # variance of an output's second moment over its square, between channels
KINDS = {  # each layer, and the factor of He's law by fan-in on the second moment behind ReLU
    "dense": (partial(nn.Conv2d, 64, 64, 3), 1.0),
    "grouped": (partial(nn.Conv2d, 64, 64, 3, groups=8), 1.0),
    "depthwise": (partial(nn.Conv2d, 256, 256, 3, groups=256), 1.0),
    "narrowing": (partial(nn.ConvTranspose2d, 256, 64, 3), 4.0),
    "widening": (partial(nn.ConvTranspose2d, 64, 256, 3), 1 / 4),
    "doubling": (partial(nn.ConvTranspose2d, 64, 64, 4, stride=2), 1 / 4),
}
BY_FAN_OUT = ("depthwise", "grouped", "narrowing", "widening")  # where fan-out gives another factor


class Masked(nn.Linear):
    """A linear layer of which a mask, drawn once, keeps a tenth of the weights."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, bias=False)
        self.register_buffer("mask", torch.rand(outputs, inputs) < KEPT)

    def forward(self, x):
        """The layer with its masked weights at zero."""
        return F.linear(x, self.weight * self.mask)


class Kinds(nn.Module):
    """One layer of each kind next to each other, all on the image, and their mean outputs."""

    def __init__(self):
        super().__init__()
        layers = {name: make(bias=False) for name, (make, _) in KINDS.items()}
        self.kinds = nn.ModuleDict(layers | {"masked": Masked(256, 256)})
        self.output = nn.Linear(len(self.kinds), 10)

    def forward(self, x):
        """Logits from the mean of each layer's outputs."""
        small = F.adaptive_avg_pool2d(x, SIDE).flatten(1)  # (B, 144)
        means = []
        for layer in self.kinds.values():
            shape = shape_for(layer)
            means.append(layer(small[:, :1].expand(-1, shape.numel()).unflatten(1, shape)))
        return self.output(torch.stack([each.flatten(1).mean(1) for each in means], 1))


def shape_for(layer):
    """The shape of one input of this layer."""
    if isinstance(layer, nn.Linear):
        return torch.Size([layer.in_features])
    return torch.Size([layer.in_channels, SIDE, SIDE])


NETWORK = Network("a convolution of each kind", Kinds)
HE, LECUN = Arm(NETWORK, he, START), Arm(NETWORK, lecun, START)
FAN_OUT = Arm(NETWORK, every(he_fan_out_, zeros_), START)


def factor_error(trained, kind, factor):
    """Distance of a layer's factor on the second moment from ``factor``, in standard errors.

    The inputs are ReLU of N(0, 1), whose second moment counts as 1 / 2, and He's law makes up for
    that. The border, where a kernel does not see its whole field, is left out. Each channel's
    moment scatters by its own weights, with a relative variance of 1 / 2 at most.
    """
    layer = NETWORK.fresh(0).kinds[kind].to(trained.device)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(INPUTS, *shape_for(layer), generator=generator).relu().to(trained.device)
    values = []
    for state in trained.replicas(at_start=True):
        prefix = f"kinds.{kind}."
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        seen = inputs.to(next(iter(own.values())).dtype)
        with torch.no_grad():
            outputs = torch.func.functional_call(layer, own, (seen,)).cpu().double()
        if outputs.dim() == 4:
            outputs = outputs[..., 3:-3, 3:-3]
        error = math.sqrt(SCATTER / outputs.shape[1])
        values.append((outputs.square().mean() / factor).log().abs() / error)
    return torch.stack(values)


@claim(
    source="He, arXiv 1502.01852, eq. 10 and 14; pytorch issues 23854 and 30079, timm 84, mlx "
    "4536; sparse layers: Evci et al., arXiv 2010.03533; b-fan-conv",
    kind="theorem",
)
def test_fan_in_keeps_the_moment_of_convolutions_that_are_not_transposed(verdict):
    """He's law by fan-in keeps the second moment in dense, grouped and depthwise convolutions.

    By fan-out, which counts the outputs of all groups, a depthwise one divides it by their number.
    A transposed convolution stores its inputs first, so its fans are swapped: the factor is inputs
    over outputs, and a stride divides it once more by its square. A mask that keeps a tenth of the
    weights keeps a tenth of the moment.
    """
    for kind, (_, factor) in KINDS.items():
        verdict.holds(
            partial(factor_error, kind=kind, factor=factor),
            treated=HE,
            control=FAN_OUT if kind in BY_FAN_OUT else LECUN,
            case=kind,
        )
    masked = partial(factor_error, kind="masked", factor=KEPT)
    verdict.holds(masked, treated=HE, control=LECUN, case="masked")
