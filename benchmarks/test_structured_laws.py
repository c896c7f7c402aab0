"""Structured laws: truncated normals, orthogonal and mirrored matrices, and sine networks."""

from collections import OrderedDict
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from initcheck import Arm, Network, claim, mlp
from initcheck.initializers import (
    delta_orthogonal_,
    dirac_,
    every,
    he,
    he_normal_,
    looks_linear_,
    normal_,
    orthogonal_,
    scaled_,
    siren_,
    trunc_normal_,
    zeros_,
)
from initcheck.notebooks.arms import START
from initcheck.probes.signals import changed_between, norm_change, state_size
from initcheck.probes.starts import moment_error, singular_value_error, trace_error

STD = 0.05  # requested for every weight
GAIN = 2**0.5  # He's, for ReLU
CUT = mlp(784, 100, 10)
SQUARES = mlp(784, *[16] * 101, 10)  # a hundred 16 x 16 matrices
CHANNELS, IMAGE_SIDE = 8, 28
MANY = 12  # hidden layers
OMEGA = 30.0  # SIREN's


def identity_stack():
    """A convolution to eight channels, then four 3 x 3 convolutions that can be identities."""
    layers = OrderedDict(stem=nn.Conv2d(1, CHANNELS, 3, padding=1, bias=False))
    for number in range(1, 5):
        layers[f"conv{number}"] = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
    layers |= {"flatten": nn.Flatten(), "output": nn.Linear(CHANNELS * IMAGE_SIDE**2, 10)}
    return nn.Sequential(layers)


class Mirror(nn.Module):
    """Each input and its negative: ``(B, n)`` to ``(B, 2 n)``."""

    def forward(self, x):
        """The inputs, then their negatives."""
        return torch.cat([x, -x], 1)


class Sine(nn.Module):
    """sin(omega x), SIREN's activation."""

    def forward(self, x):
        """The sine of each input, multiplied by omega."""
        return torch.sin(OMEGA * x)


def mirrored_network():
    """A ReLU network on images and their negatives."""
    layers = OrderedDict(mlp(2 * 784, *[2 * 64] * MANY, 10).build().named_children())
    layers.pop("flatten")
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), mirror=Mirror(), **layers))


def sine_network():
    """A deep network whose activations are sines."""
    layers = OrderedDict(mlp(784, *[256] * MANY, 10).build().named_children())
    replaced = {key: Sine() if isinstance(m, nn.ReLU) else m for key, m in layers.items()}
    return nn.Sequential(OrderedDict(replaced))


MIRRORED = Network(f"mirrored, mlp 1568-128x{MANY}-10 relu", mirrored_network)
SINES = Network(f"mlp 784-256x{MANY}-10 sine", sine_network)


@torch.no_grad()
def raw_qr_(tensor, generator):
    """Orthonormal rows or columns with the raw signs of QR, so not uniform under rotations."""
    rows, columns = tensor.shape
    shape = max(rows, columns), min(rows, columns)
    # float64, because a nearly singular matrix amplifies rounding, which depends on the processor.
    normal = torch.randn(shape, generator=generator, dtype=torch.float64)
    q = torch.linalg.qr(normal).Q
    return tensor.copy_(q if rows >= columns else q.mT)


@claim(source="scipy.stats.truncnorm(-2, 2); b-trunc-normal", kind="theorem")
def test_truncated_normal_law_has_its_variance(verdict):
    """A normal law cut at two standard deviations has the requested variance once it is widened.

    The cut makes the standard deviation .8796 times as large, so the draws are divided by that.
    """
    verdict.holds(
        partial(moment_error, layer="hidden1.weight", std=STD),
        treated=Arm(CUT, every(trunc_normal_(STD)), START),
        control=Arm(CUT, every(scaled_(trunc_normal_(STD), 0.8796)), START),
    )


@claim(source="Mezzadri, math-ph/0609050, section 5; b-haar", kind="theorem")
def test_orthogonal_matrices_prefer_no_sign(verdict):
    """The traces of orthogonal starts average zero; with the raw signs of QR they do not.

    This is a property of Haar's measure, the uniform law of rotations and reflections.
    """
    verdict.holds(
        trace_error,
        treated=Arm(SQUARES, every(orthogonal_()), START),
        control=Arm(SQUARES, every(raw_qr_, name="QR without signs"), START),
    )


@claim(source="Saxe et al. 2013, arXiv 1312.6120; b-orthogonal-isometry", kind="theorem")
def test_orthogonal_start_multiplies_by_its_gain(verdict):
    """All singular values of an orthogonal start equal its gain, in square and other layers."""
    twice = Arm(SQUARES, every(scaled_(orthogonal_(GAIN), GAIN)), START)
    independent = Arm(SQUARES, every(normal_(STD)), START)
    treated = Arm(SQUARES, every(orthogonal_(GAIN)), START)
    off = partial(singular_value_error, gain=GAIN)
    verdict.holds(off, treated=treated, control=twice, case="gain")
    verdict.holds(off, treated=treated, control=independent, case="structure")


@claim(source="b-dirac-exact", kind="exact")
def test_dirac_convolutions_are_the_identity(verdict):
    """In float64, convolutions that start at torch's dirac return their input bit for bit.

    In float32 a library may convolve by transforms that round.
    """
    precise = replace(START, dtype="float64")
    network = Network("conv 1-8-8-8-8-8, no bias", identity_stack)
    verdict.holds(
        partial(changed_between, first="conv1", last="flatten"),
        treated=Arm(network, he.but("conv*.weight", dirac_), precise),
        control=Arm(network, he, precise),
    )


@claim(source="arXiv 1806.05393, Algorithm 2; b-delta-orthogonal", kind="theorem")
def test_delta_orthogonal_convolutions_keep_norms(verdict):
    """Convolutions that are orthogonal at the kernel's centre keep the norm of their input.

    A matrix spread over the whole kernel loses norm at the border, which is padded with zeros.
    """
    network = Network("conv 1-8-8-8-8-8, no bias", identity_stack)
    verdict.holds(
        partial(norm_change, first="conv1", last="flatten"),
        treated=Arm(network, he.but("conv*.weight", delta_orthogonal_()), START),
        control=Arm(network, he.but("conv*.weight", orthogonal_()), START),
    )


@claim(source="arXiv 1702.08591, section 4; b-looks-linear", kind="theorem")
def test_looks_linear_start_keeps_norms(verdict):
    """A ReLU network that looks linear keeps the norm of its hidden states through its layers.

    relu(z) - relu(-z) = z, so mirrored orthogonal matrices make the network an orthogonal map. From
    He's start the norm fluctuates.
    """
    mirrored = every(looks_linear_(orthogonal_()), zeros_).but("output.weight", he_normal_)
    verdict.holds(
        partial(norm_change, first="hidden2", last="output"),
        treated=Arm(MIRRORED, mirrored, START),
        control=Arm(MIRRORED, he, START),
    )


@claim(source="arXiv 2006.09661, section 3.2; b-siren-fixed-point", kind="theorem")
def test_siren_start_keeps_hidden_states_at_their_fixed_point(verdict):
    """From SIREN's start, a deep sine network's hidden states have a standard deviation of .631.

    A pre-activation variance q becomes 1 - exp(-2 q), whose fixed point is .797; the mean of
    sin squared is half of that. From smaller weights the states die out.
    """
    verdict.holds(
        partial(state_size, layer="output"),
        treated=Arm(SINES, every(siren_(OMEGA), zeros_), START),
        control=Arm(SINES, every(scaled_(siren_(OMEGA), 0.5), zeros_), START),
    )
