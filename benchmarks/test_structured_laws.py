"""Structured laws: truncated normals, orthogonal matrices and identity convolutions."""

from collections import OrderedDict
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from initcheck import Arm, Network, claim, mlp
from initcheck.initializers import (
    dirac_,
    every,
    he,
    normal_,
    orthogonal_,
    scaled_,
    trunc_normal_,
)
from initcheck.notebooks.arms import START
from initcheck.probes.signals import changed_between
from initcheck.probes.starts import moment_error, singular_value_error, trace_error

STD = 0.05  # requested for every weight
GAIN = 2**0.5  # He's, for ReLU
CUT = mlp(784, 100, 10)
SQUARES = mlp(784, *[16] * 101, 10)  # a hundred 16 x 16 matrices
CHANNELS, IMAGE_SIDE = 8, 28


def identity_stack():
    """A convolution to eight channels, then four 3 x 3 convolutions that can be identities."""
    layers = OrderedDict(stem=nn.Conv2d(1, CHANNELS, 3, padding=1, bias=False))
    for number in range(1, 5):
        layers[f"conv{number}"] = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
    layers |= {"flatten": nn.Flatten(), "output": nn.Linear(CHANNELS * IMAGE_SIDE**2, 10)}
    return nn.Sequential(layers)


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
