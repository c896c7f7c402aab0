"""More kinds of faulty starts, each written before it was inspected."""

from __future__ import annotations

import copy
import random

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from tests.inspection.faulty import CLASSES


def _net(*, width: int = 32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, CLASSES))


# --- memory that nobody wrote ---------------------------------------------------------------------


def complex_without_phase():
    """The real part of a complex filter is drawn, and the imaginary part is not."""

    class Filter(nn.Module):
        def __init__(self):
            super().__init__()
            self.filter = nn.Parameter(torch.empty(5, 2))
            with torch.no_grad():
                self.filter[:, 0].normal_()
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x):
            spectrum = torch.fft.rfft(x) * torch.view_as_complex(self.filter)
            return self.head(torch.fft.irfft(spectrum, n=8))

    return Filter()


def last_expert_not_drawn():
    """A loop over experts ends one too early."""

    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = nn.Parameter(torch.empty(4, 8, 8))
            for n in range(3):
                nn.init.kaiming_uniform_(self.experts.data[n])
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x):
            return self.head(torch.einsum("bi,eij->bj", x, self.experts).tanh())

    return Experts()


def running_variance_not_set():
    """A norm of the user's own whose running variance is allocated alone."""

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("variance", torch.empty(8))
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x):
            return self.head(x / (self.variance.abs() + 1).sqrt())

    return Norm()


def gate_of_a_copy_left_unset():
    """A grown LSTM bias: the old gates are copied, and the new ones are what was in memory."""
    module = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, CLASSES))
    grown = torch.empty(8)
    grown[:4] = module[0].bias.data
    module[0] = nn.Linear(8, 8)
    module[0].bias.data = grown
    module[2] = nn.Linear(8, CLASSES)
    return module


# --- seeds ----------------------------------------------------------------------------------------


def python_seeded_layout():
    """Weights from Python's generator, seeded inside."""
    module = _net()
    draw = random.Random(7)  # noqa: S311 -- weights are no secret
    values = [draw.gauss(0, 0.3) for _ in range(32 * 8)]
    module[0].weight.data = torch.tensor(values).view(32, 8)
    return module


def numpy_legacy_seed():
    """``np.random.seed(0)`` for a sparse mask, and then the weights from numpy, too."""
    np.random.seed(0)  # noqa: NPY002
    module = _net()
    module[0].weight.data = torch.from_numpy(np.random.randn(32, 8)).float() / 3  # noqa: NPY002
    return module


def generator_made_once():
    """A default argument holds one generator, so each build continues it."""
    module = _net()
    nn.init.normal_(module[0].weight, std=0.3, generator=_ONCE)
    return module


_ONCE = torch.Generator().manual_seed(3)


# --- copies ---------------------------------------------------------------------------------------


class SplitHeads(nn.Module):
    """Query and key start as one draw: both are loaded from one state."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        self.key.load_state_dict(self.query.state_dict())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = x[:, None] * torch.linspace(0.5, 1.5, 4)[:, None]
        weights = (self.query(x) @ self.key(x).mT).softmax(-1)
        return self.head((weights @ self.value(x)).mean(1))


class BranchesOfOne(nn.Module):
    """Three branches of an inception block are shallow copies of one, then given own tensors."""

    def __init__(self):
        super().__init__()
        branch = nn.Linear(8, 8)
        self.branches = nn.ModuleList(copy.deepcopy(branch) for _ in range(3))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(sum(branch(x).relu() for branch in self.branches))


def rows_tiled():
    """A wide layer is a narrow one tiled, as when a network is widened without noise."""
    module = _net()
    narrow = nn.Linear(8, 8)
    module[0].weight.data = narrow.weight.data.repeat(4, 1)
    module[0].bias.data = narrow.bias.data.repeat(4)
    return module


def depthwise_filters_equal():
    """One filter is expanded over all channels."""
    module = nn.Sequential(
        nn.Unflatten(1, (8, 1)), nn.Conv1d(8, 8, 5, padding=2, groups=8), nn.Flatten(),
        nn.Linear(8, CLASSES),
    )  # fmt: skip
    module[1].weight.data = torch.randn(1, 1, 5).repeat(8, 1, 1)
    return module


# --- zeros that never wake ------------------------------------------------------------------------


class DeadPrompt(nn.Module):
    """A soft prompt of zeros is multiplied by a gate of zeros."""

    def __init__(self):
        super().__init__()
        self.prompt = nn.Parameter(torch.zeros(8))
        self.gate = nn.Parameter(torch.zeros(8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(x + self.prompt * self.gate)


def zero_convolutions_in_series():
    """Two zero convolutions in series, as if one of them were not enough."""

    class Control(nn.Module):
        def __init__(self):
            super().__init__()
            self.control = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
            for part in self.control:
                nn.init.zeros_(part.weight)
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x):
            return self.head(x + self.control(x))

    return Control()


class SquaredGate(nn.Module):
    """A gate of zero enters squared, so that its gradient is zero for ever."""

    def __init__(self):
        super().__init__()
        self.branch, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)
        self.gate = nn.Parameter(torch.zeros(8))

    def forward(self, x):
        return self.head(x + self.gate.square() * self.branch(x))


class ClampedScale(nn.Module):
    """A temperature starts outside of the range that the forward pass clamps it to."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, CLASSES)
        self.temperature = nn.Parameter(torch.tensor(20.0))

    def forward(self, x):
        return self.head(x) * self.temperature.clamp(0.1, 5.0)


class ZeroNormOfWeight(nn.Module):
    """Weight normalization by hand whose length starts at zero, before a ReLU and a zero head."""

    def __init__(self):
        super().__init__()
        self.direction = nn.Parameter(torch.randn(8, 8))
        self.length = nn.Parameter(torch.zeros(8, 1))
        self.head = nn.Linear(8, CLASSES)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        weight = self.length * nn.functional.normalize(self.direction, dim=1)
        return self.head((x @ weight.T).relu())


# --- scale ----------------------------------------------------------------------------------------


def variance_for_standard_deviation():
    """A variance is given where a standard deviation is expected: deep, it dies out."""
    layers = []
    for _ in range(12):
        layer = nn.Linear(64, 64)
        nn.init.normal_(layer.weight, std=2 / 64)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(nn.Linear(8, 64), *layers, nn.Linear(64, CLASSES))


def standard_normal_everywhere():
    """Every weight is N(0, 1)."""
    module = nn.Sequential(
        *[part for _ in range(6) for part in (nn.Linear(64, 64), nn.ReLU())],
        nn.Linear(64, CLASSES),
    )  # fmt: skip
    for part in module:
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight)
    return nn.Sequential(nn.Linear(8, 64), module)


def one_block_by_another_law():
    """The fourth of six blocks is not reached by the init function."""
    blocks = [nn.Sequential(nn.Linear(64, 64), nn.GELU()) for _ in range(6)]
    for n, block in enumerate(blocks):
        if n != 3:
            nn.init.normal_(block[0].weight, std=0.02)
    return nn.Sequential(nn.Linear(8, 64), *blocks, nn.Linear(64, CLASSES))


def one_entry_far_outside():
    """One entry overflowed in half precision."""
    module = _net(width=64)
    module[0].weight.data[3, 2] = float("inf")
    return module


# --- other ----------------------------------------------------------------------------------------


def parametrized_then_written():
    """A weight under an orthogonal parametrization is drawn afterwards."""

    class Symmetric(nn.Module):
        def forward(self, weight):
            return weight.triu() + weight.triu(1).mT

    module = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    parametrize.register_parametrization(module[0], "weight", Symmetric())
    nn.init.orthogonal_(module[0].weight)
    return module


def padding_drawn_by_a_rule():
    """The padding row is drawn by the rule for all embeddings."""

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(10, 8, padding_idx=0)
            nn.init.normal_(self.words.weight, std=0.02)
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x):
            return self.head(x + self.words(torch.arange(len(x)) % 10))

    return Bag()


class LostTie(nn.Module):
    """Copying it makes two tables of one."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(CLASSES, 8)
        self.head = nn.Linear(8, CLASSES, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x):
        return self.head(x)

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        self.head.weight = nn.Parameter(state_dict[f"{prefix}head.weight"].clone())
        super()._load_from_state_dict(state_dict, prefix, *rest)


class ResetForgetsScale(nn.Module):
    """``reset_parameters`` draws with another gain than the constructor."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 8) * 0.02)
        self.head = nn.Linear(32, CLASSES)

    def reset_parameters(self):
        nn.init.normal_(self.weight)

    def forward(self, x):
        return self.head((x @ self.weight.T).relu())


class SlopeWithASign(nn.Module):
    """A hand-written backward of a leaky ReLU forgets the slope of the negative side."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(_Leaky.apply(self.inner(x)))


class _Leaky(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x > 0, x, 0.3 * x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x > 0)
