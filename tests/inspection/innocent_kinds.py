"""More kinds of starts that look odd and are right, each written before it was inspected."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from tests.inspection.faulty import CLASSES


class MixtureTop2(nn.Module):
    """A router sends each sample to two of eight experts, some of which get none."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(8, 8, bias=False)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        weights, chosen = self.router(x).softmax(-1).topk(2)
        out = torch.zeros_like(x)
        for n, expert in enumerate(self.experts):
            rows, places = (chosen == n).nonzero(as_tuple=True)
            out = out.index_add(0, rows, weights[rows, places, None] * expert(x[rows]))
        return self.head(out)


class Dictionary(nn.Module):
    """Takes a tensor and returns a dict with its own loss."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, CLASSES)

    def forward(self, x):
        logits = self.inner(x)
        return {"logits": logits, "aux": logits.square().mean()}


class Counting(nn.Module):
    """Keeps a counter and a running mean, and writes both in the forward pass."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, CLASSES)
        self.register_buffer("mean", torch.zeros(8))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.mean.lerp_(x.detach().mean(0), 0.1)
        return self.head(x - self.mean)


class ChangesItsInput(nn.Module):
    """Normalizes its input in place."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x.sub_(x.mean(0)).div_(x.std(0) + 1e-5)
        return self.head(x)


class StochasticDepth(nn.Module):
    """Drops whole residual branches at random."""

    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        for branch in self.branches:
            if not self.training or torch.rand(()) > 0.2:
                x = x + branch(x).relu()
        return self.head(x)


class RelativePositions(nn.Module):
    """A table of biases for relative positions that starts at zero."""

    def __init__(self):
        super().__init__()
        self.query, self.value = nn.Linear(1, 4), nn.Linear(1, 4)
        self.bias = nn.Parameter(torch.zeros(8, 8))
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x):
        x = x[..., None]
        scores = self.query(x) @ self.query(x).mT + self.bias
        return self.head((scores.softmax(-1) @ self.value(x)).mean(1))


class Rotary(nn.Module):
    """Sines and cosines in a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        angles = torch.arange(8)[:, None] / 100 ** (torch.arange(4) / 4)
        self.register_buffer("table", torch.cat([angles.sin(), angles.cos()], 1), persistent=False)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(x * self.table.mean(0))


def chrono_lstm():
    """Forget and input biases of an LSTM are drawn by the chrono rule."""

    class Chrono(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = nn.LSTM(1, 8, batch_first=True), nn.Linear(8, CLASSES)
            with torch.no_grad():
                for name, each in self.inner.named_parameters():
                    if "bias" in name:
                        each.zero_()
                self.inner.bias_hh_l0[8:16] = torch.rand(8).mul(6).add(1).log()
                self.inner.bias_hh_l0[:8] = -self.inner.bias_hh_l0[8:16]

        def forward(self, x):
            return self.head(self.inner(x[..., None])[0][:, -1])

    return Chrono()


def identity_recurrence():
    """IRNN: the recurrent matrix is the identity."""

    class Identity(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.RNN(1, 16, nonlinearity="relu", batch_first=True)
            self.head = nn.Linear(16, CLASSES)
            nn.init.eye_(self.inner.weight_hh_l0)
            nn.init.zeros_(self.inner.bias_hh_l0)
            nn.init.zeros_(self.inner.bias_ih_l0)

        def forward(self, x):
            return self.head(self.inner(x[..., None])[0][:, -1])

    return Identity()


def fixup():
    """Residual branches scaled by depth, with a last layer of zeros and scalar biases."""

    class Block(nn.Module):
        def __init__(self, depth):
            super().__init__()
            self.one, self.two = nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False)
            self.scale, self.shift = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))
            nn.init.normal_(self.one.weight, std=(2 / 32) ** 0.5 * depth**-0.5)
            nn.init.zeros_(self.two.weight)

        def forward(self, x):
            return x + self.scale * self.two(self.one(x + self.shift).relu())

    head = nn.Linear(32, CLASSES)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return nn.Sequential(nn.Linear(8, 32), *[Block(6) for _ in range(6)], head)


def depth_scaled_residuals():
    """GPT-2: outputs of residual branches are drawn smaller by sqrt(2 L)."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(64)
            self.up, self.c_proj = nn.Linear(64, 128), nn.Linear(128, 64)

        def forward(self, x):
            return x + self.c_proj(nn.functional.gelu(self.up(self.norm(x))))

    module = nn.Sequential(nn.Linear(8, 64), *[Block() for _ in range(4)], nn.Linear(64, CLASSES))
    for name, each in module.named_parameters():
        if name.endswith("c_proj.weight"):
            nn.init.normal_(each, std=0.02 / 8**0.5)
        elif each.dim() > 1:
            nn.init.normal_(each, std=0.02)
    return module


def sparse_init():
    """``nn.init.sparse_``: most entries are zero."""
    module = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, CLASSES))
    nn.init.sparse_(module[0].weight, 0.8, std=0.5)
    return module


def lottery_ticket():
    """A pruned weight, which ``nn.utils.prune`` computes from a mask in a hook."""
    module = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, CLASSES))
    prune.random_unstructured(module[0], "weight", 0.5)
    return module


def exponentials():
    """A parametrization keeps decays positive, from a table of logarithms."""

    class Positive(nn.Module):
        def forward(self, x):
            return x.exp()

        def right_inverse(self, x):
            return x.log()

    class Decays(nn.Module):
        def __init__(self):
            super().__init__()
            self.decay = nn.Parameter(torch.linspace(0.1, 1.0, 8))
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x):
            return self.head(x * self.decay)

    module = Decays()
    parametrize.register_parametrization(module, "decay", Positive())
    return module


def gabor_filters():
    """The first convolution is a fixed bank of filters that may be trained."""
    module = nn.Sequential(
        nn.Unflatten(1, (1, 8)), nn.Conv1d(1, 6, 5, padding=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(48, CLASSES),
    )  # fmt: skip
    places = torch.arange(-2, 3)
    waves = [torch.cos(places * k) * torch.exp(-(places**2) / 4) for k in range(1, 7)]
    module[1].weight.data = torch.stack(waves)[:, None]
    return module


def numpy_without_seed():
    """Weights from numpy's global generator, which the build leaves alone."""
    module = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, CLASSES))
    module[0].weight.data = torch.from_numpy(np.random.randn(16, 8)).float() / 3  # noqa: NPY002
    return module


def numpy_generator(seed):
    """Weights from a generator of numpy that is made from the seed."""
    draw = np.random.default_rng(seed)
    module = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, CLASSES))
    for part in module:
        part.weight.data = torch.from_numpy(draw.normal(0, 0.2, part.weight.shape)).float()
        part.bias.data.zero_()
    return module


def data_dependent():
    """The first layer is scaled on a batch inside the build (LSUV)."""
    module = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, CLASSES))
    with torch.no_grad():
        module[0].weight.div_(module[0](torch.randn(64, 8)).std())
    return module


def lazy_materialized():
    """Lazy layers, called once in the build."""
    module = nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(CLASSES))
    module(torch.randn(2, 8))
    return module


def sums_of_one_bank():
    """A hypernetwork: weights are mixtures of a bank."""

    class Hyper(nn.Module):
        def __init__(self):
            super().__init__()
            self.bank = nn.Parameter(torch.randn(4, CLASSES, 8) / 8**0.5)
            self.mix = nn.Parameter(torch.full((4,), 0.25))

        def forward(self, x):
            return x @ torch.einsum("k,koi->oi", self.mix, self.bank).T

    return Hyper()


def householder():
    """An orthogonal map from vectors of length one."""

    class Reflections(nn.Module):
        def __init__(self):
            super().__init__()
            self.vectors = nn.Parameter(nn.functional.normalize(torch.randn(3, 8), dim=1))
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x):
            for vector in self.vectors:
                x = x - 2 * (x @ vector)[:, None] * vector / vector.square().sum()
            return self.head(x)

    return Reflections()


def temperature_of_clip():
    """The logarithm of a temperature, 1 / 0.07, times cosines."""

    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.classes = nn.Linear(8, 16), nn.Parameter(torch.randn(CLASSES, 16))
            self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

        def forward(self, x):
            one = nn.functional.normalize(self.inner(x), dim=-1)
            return self.logit_scale.exp() * one @ nn.functional.normalize(self.classes, dim=-1).T

    return Clip()


def maxout():
    """Only the larger of two units has a gradient."""

    class Maxout(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = nn.Linear(8, 32), nn.Linear(16, CLASSES)

        def forward(self, x):
            return self.head(self.inner(x).unflatten(1, (16, 2)).amax(2))

    return Maxout()


def two_towers_frozen():
    """A frozen copy of an encoder, and the same encoder, trained."""

    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.online, self.target = nn.Linear(8, 8), nn.Linear(8, 8)
            self.target.load_state_dict(self.online.state_dict())
            self.target.requires_grad_(requires_grad=False)
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x):
            return self.head(self.online(x) + self.target(x))

    return Towers()


def checkpointed():
    """Activations are computed again in the backward pass."""

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.1), nn.Tanh())
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x):
            inner = torch.utils.checkpoint.checkpoint(self.inner, x, use_reentrant=False)
            return self.head(inner)

    return Checkpointed()
