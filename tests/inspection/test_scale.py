"""Check ``scale``: laws and fans of weights, and siblings that differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection.laws import Moments, differ, interval
from initcheck.inspection.scale import check_scale
from initcheck.inspection.start import Start
from initcheck.inspection.subject import Subject
from tests.inspection import faulty_law
from tests.inspection.faulty_law import Block, Blocks

FAULTY = [
    (faulty_law.depthwise_fan_out, "warn", {"1.weight"}),
    (faulty_law.depthwise_by_hand, "warn", {"1.weight", "3.weight"}),
    (faulty_law.grouped_glorot, "warn", {"weight"}),
    (faulty_law.transposed_fan_in, "warn", {"0.weight"}),
    (faulty_law.transposed_by_one_rule, "warn", {"2.weight"}),
    (faulty_law.prefix_of_a_number, "warn", {f"{n}.down.weight" for n in (1, 10, 11)}),
    (faulty_law.one_block_left_out, "warn", {"2.down.weight"}),
    (faulty_law.packed_glorot, "note", {"in_proj_weight"}),
    (faulty_law.packed_gates, "note", {"weight_ih_l0"}),
]


@pytest.mark.parametrize(
    ("build", "severity", "names"), FAULTY, ids=[build.__name__ for build, *_ in FAULTY]
)
def test_a_law_that_is_not_meant_is_found(build, severity, names):
    inspection = inspect_model(build)
    (finding,) = [each for each in inspection.findings if each.check == "scale"]
    assert finding.severity == severity, str(inspection)
    assert set(finding.parameters) == names
    assert inspection.ok


def _normed(transposed):
    first = nn.ConvTranspose2d(32, 4, 3) if transposed else nn.Conv2d(4, 32, 3, groups=4)
    nn.init.kaiming_normal_(first.weight, mode="fan_in" if transposed else "fan_out")
    return nn.Sequential(first, nn.BatchNorm2d(first.out_channels), nn.ReLU())


def test_the_other_blocks_are_counted_without_the_odd_ones():
    found = [
        each for each in inspect_model(faulty_law.one_block_left_out).findings
        if each.check == "scale"
    ]  # fmt: skip
    assert "in the other 4 blocks, and" in found[0].message


@pytest.mark.parametrize("transposed", [True, False])
def test_before_a_normalization_it_is_a_note(transposed):
    found = [
        each for each in inspect_model(lambda: _normed(transposed), name="normed").findings
        if each.check == "scale"
    ]  # fmt: skip
    assert [each.severity for each in found] == ["note"]
    assert "A normalization follows" in found[0].message


class EqualizedRate(nn.Module):
    """A layer of N(0, 1) that divides by its fan-in when it is called."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(256, 128))

    def forward(self, x):
        return x @ self.weight.T / math.sqrt(128)


class InputsFirst(nn.Module):
    """A dense layer that stores its weight as (in, out)."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(512, 64) / math.sqrt(512))

    def forward(self, x):
        return x @ self.weight


def _truncated():
    module = nn.Linear(200, 100)
    nn.init.trunc_normal_(module.weight, std=0.02)
    return module


def _initialized(layer, rule, **options):
    rule(layer.weight, **options)
    return layer


INIT = nn.init
LAWS = {
    "torch's default, 1/3 / fan-in": [
        lambda: nn.Linear(100, 50),
        lambda: nn.Conv2d(8, 40, 3, groups=4),
    ],
    "He, 2 / fan-in": [
        lambda: _initialized(nn.Linear(100, 50), INIT.kaiming_normal_),
        lambda: _initialized(nn.Conv2d(8, 40, 3, groups=4), INIT.kaiming_uniform_),
        lambda: _initialized(nn.ConvTranspose2d(64, 8, 3), INIT.kaiming_normal_, mode="fan_out"),
    ],
    "2 / fan-out": [
        lambda: _initialized(nn.Conv2d(8, 40, 3), INIT.kaiming_normal_, mode="fan_out"),
        lambda: _initialized(nn.ConvTranspose2d(8, 64, 3), INIT.kaiming_normal_),
    ],
    "Glorot, 2 / (fan-in + fan-out)": [
        lambda: _initialized(nn.Linear(100, 50), INIT.xavier_uniform_),
        lambda: _initialized(nn.ConvTranspose2d(8, 24, 5), INIT.xavier_normal_),
    ],
    "LeCun, 1 / fan-in": [InputsFirst, EqualizedRate],
    "orthogonal": [lambda: _initialized(nn.Linear(100, 50), INIT.orthogonal_)],
    "N(0, 1)": [lambda: nn.Embedding(300, 16, padding_idx=0)],
    "N(0, 0.02²)": [_truncated],
    "zero": [lambda: _initialized(nn.Linear(100, 50), INIT.zeros_)],
    "constant 0.5": [lambda: _initialized(nn.Linear(100, 50), INIT.constant_, val=0.5)],
    "table": [lambda: _initialized(nn.Linear(8, 8), lambda w: w.data.copy_(
        torch.arange(64.0).view(8, 8).sin()))],
    "3 / fan-in": [lambda: _initialized(nn.Linear(900, 500), INIT.normal_, std=(3 / 900) ** 0.5)],
}  # fmt: skip


@pytest.mark.parametrize("law", LAWS)
def test_the_law_is_named(law):
    for build in LAWS[law]:
        row = inspect_model(build, name="layer").frame.set_index("name").loc["weight"]
        if build is EqualizedRate:
            assert abs(math.log(row["gain"])) < 0.1  # measured: the stored fan would give 128
        else:
            assert row["law"] == law


SOUND = {
    "depth-scaled": lambda: Blocks(*[0.02 / math.sqrt(2 * n) for n in range(1, 9)]),
    "a special first block": lambda: Blocks(0.3, *[0.02] * 5),
    "a special last block": lambda: Blocks(*[0.02] * 5, 0.001),
    "zero residuals": lambda: Blocks(0.02, 0, 0.02),
    "roles by position": lambda: nn.ModuleList(
        [nn.Sequential(nn.Linear(32, 32), _initialized(nn.Linear(32, 32), INIT.normal_, std=1e-3))
         for _ in range(4)]
    ),
    "a multilayer perceptron": lambda: nn.Sequential(
        *[_initialized(nn.Linear(32, 32), INIT.normal_, std=std) for std in (0.1, 1.0, 0.1, 0.2)]
    ),
    "fan-out for transposed convolutions alone": lambda: _initialized(
        nn.ConvTranspose2d(64, 8, 3), INIT.kaiming_normal_, mode="fan_out"
    ),
    "fan-out divided by the groups": lambda: _initialized(
        nn.Conv2d(64, 64, 3, groups=64), INIT.normal_, std=math.sqrt(2 / 9)
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SOUND)
def test_what_is_meant_is_silent(case):
    inspection = inspect_model(SOUND[case], name=case)
    assert not [each for each in inspection.findings if each.check == "scale"], str(inspection)


class ScaledEmbedding(nn.Embedding):
    """An embedding with a padding row and a buffer without dimensions."""

    def __init__(self):
        super().__init__(40, 16, padding_idx=0)
        self.register_buffer("scale", torch.tensor(4.0))


class PackedConvolution(nn.Module):
    """Queries, keys and values in one convolution."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Conv2d(16, 48, 1)
        nn.init.xavier_uniform_(self.qkv.weight)


@pytest.mark.parametrize("build", [ScaledEmbedding, PackedConvolution])
def test_odd_shapes_are_judged(build):
    inspection = inspect_model(build)
    assert "scale" in inspection.judged.checks, str(inspection)
    assert not inspection.of_severity("fail", "warn")


def test_no_seed_of_sound_modules_warns():
    """A hundred seeds of twelve blocks and two depthwise convolutions: no finding.

    The stated rate is 1e-4 for each seed.
    """

    def build():
        convolutions = [nn.Conv2d(16 * n, 16 * n, 3, groups=16 * n) for n in (1, 2)]
        return nn.ModuleList([*[Block() for _ in range(12)], *convolutions])

    subject = Subject("sound", build)
    for seed in range(100):
        start = Start(subject, subject(seed), (seed, seed + 1))
        assert not list(check_scale(start))


DRAWS = {
    "normal": lambda generator, *shape: generator.normal(size=shape),
    "uniform": lambda generator, *shape: generator.uniform(-1, 1, size=shape),
    "Laplace": lambda generator, *shape: generator.laplace(size=shape),
}


def _moments(draws):
    centred = draws - draws.mean(1, keepdims=True)
    variance = (centred**2).mean(1)
    kurtosis = (centred**4).mean(1) / variance**2
    return [
        Moments(draws.shape[1], 0.0, float(v), float(k), -1.0, 1.0)
        for v, k in zip(variance, kurtosis, strict=True)
    ]


@pytest.mark.parametrize("law", DRAWS)
def test_two_draws_of_one_law_differ_no_more_often_than_stated(law):
    """At the level 0.01, of 4,000 pairs of 500 draws no more than 1.5 % differ."""
    generator = np.random.default_rng(5)
    first, second = (_moments(DRAWS[law](generator, 4000, 500)) for _ in range(2))
    share = np.mean([differ(a, b) < 0.01 for a, b in zip(first, second, strict=True)])
    assert share < 0.015


def _rejected(several, expected, alpha):
    ends = [interval(each, alpha=alpha) for each in several]
    return np.array([
        not low <= each.variance / expected <= high
        for each, (low, high) in zip(several, ends, strict=True)
    ])  # fmt: skip


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_a_right_law_is_rejected_no_more_often_than_stated(law):
    several = _moments(DRAWS[law](np.random.default_rng(6), 4000, 500))
    assert _rejected(several, 1.0 if law == "normal" else 1 / 3, 0.01).mean() < 0.015


def test_a_law_that_is_off_by_a_fifth_is_rejected():
    several = _moments(np.random.default_rng(7).normal(size=(200, 5000)))
    assert _rejected(several, 1.2, 1e-4).all()
