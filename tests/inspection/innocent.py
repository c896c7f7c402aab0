"""Starts that look odd and are right. Nothing may fail or warn."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

import copy
import itertools
import math

import torch
from torch import nn
from torch.nn.utils import parametrizations

from tests.inspection.faulty import CLASSES, Lora


def zero_head():
    module = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    nn.init.zeros_(module[2].weight)
    nn.init.zeros_(module[2].bias)
    return module


def zeros_everywhere_but_biases():
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES))
    nn.init.zeros_(module[1].weight)
    return module


class Residual(nn.Module):
    """Branches whose last weight, gain or scalar is zero: the identity at the start."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.inner = nn.Linear(8, 8)
        self.outer = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8)
        self.gate = nn.Parameter(torch.ones(8))
        self.head = nn.Linear(8, CLASSES)
        if kind == "zero residual":
            nn.init.zeros_(self.outer.weight)
            nn.init.zeros_(self.outer.bias)
        if kind == "zero gain":
            nn.init.zeros_(self.norm.weight)
        if kind == "rezero":
            self.gate = nn.Parameter(torch.zeros(()))
        if kind == "layerscale":
            self.gate = nn.Parameter(torch.full((8,), 1e-5))

    def forward(self, x):
        return self.head(x + self.gate * self.norm(self.outer(self.inner(x).relu())))


class AdaLnZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.condition = nn.Linear(8, 24)
        self.inner = nn.Linear(8, 8)
        self.head = nn.Linear(8, CLASSES)
        nn.init.zeros_(self.condition.weight)
        nn.init.zeros_(self.condition.bias)

    def forward(self, x):
        shift, scale, gate = self.condition(x).chunk(3, -1)
        normed = nn.functional.layer_norm(x, (8,)) * (1 + scale) + shift
        return self.head(x + gate * self.inner(normed))


class ControlNet(nn.Module):
    """A trainable copy of a frozen block, behind a convolution of zeros."""

    def __init__(self):
        super().__init__()
        self.block = nn.Linear(8, 8)
        self.control = copy.deepcopy(self.block)
        self.block.requires_grad_(requires_grad=False)
        self.zero = nn.Linear(8, 8)
        nn.init.zeros_(self.zero.weight)
        nn.init.zeros_(self.zero.bias)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.block(x) + self.zero(self.control(x)))


def lora_b_zero():
    return Lora(a=1.0)


def lora_a_zero():
    return Lora(b=1.0)


def focal_prior():
    module = nn.Linear(8, CLASSES)
    nn.init.constant_(module.bias, -math.log(99))
    return module


def identity():
    module = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, CLASSES))
    for part in (module[0], module[2]):
        nn.init.eye_(part.weight)
    return module


def orthogonal():
    module = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, CLASSES))
    for part in module:
        nn.init.orthogonal_(part.weight)
    return module


def orthogonal_by_parametrization():
    """Trainable tables, which random buffers turn into random orthogonal matrices."""
    return nn.Sequential(
        *(
            layer for _ in range(2)
            for layer in (parametrizations.orthogonal(nn.Linear(8, 8)), nn.Tanh())
        ),
        parametrizations.orthogonal(nn.Linear(8, CLASSES)),
    )  # fmt: skip


class Siren(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, CLASSES)
        nn.init.uniform_(self.first.weight, -1 / 8, 1 / 8)

    def forward(self, x):
        return self.last((30 * self.first(x)).sin())


class SineTable(nn.Module):
    """A trainable table of positions that no seed changes."""

    def __init__(self):
        super().__init__()
        angles = torch.arange(8.0)[None] / torch.arange(1.0, 9.0)[:, None]
        self.table = nn.Parameter(angles.sin())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(x @ self.table)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 8, padding_idx=0)
        self.head = nn.Linear(8, CLASSES, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(x)


class Teacher(nn.Module):
    """A student, and the frozen copy of it that follows by moving average."""

    def __init__(self):
        super().__init__()
        self.student = nn.Linear(8, CLASSES)
        self.teacher = copy.deepcopy(self.student).requires_grad_(requires_grad=False)

    def forward(self, x):
        return self.student(x) + 0 * self.teacher(x).detach()


class UnusedExpert(nn.Module):
    """Its second expert is chosen by nothing."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(8, CLASSES) for _ in range(2))

    def forward(self, x):
        chosen = torch.zeros(len(x), dtype=torch.bool)
        out = torch.zeros(len(x), CLASSES).masked_scatter(
            ~chosen[:, None].expand(-1, CLASSES), self.experts[0](x[~chosen])
        )
        return out + self.experts[1](x[chosen]).sum()


def weight_normed():
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES))
    parametrizations.weight_norm(module[0])
    return module


def dropout():
    return nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, CLASSES))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(4, 8, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.head(self.cell(x.unflatten(1, (2, 4)))[0].mean(1))


def takes_a_seed(seed):
    generator = torch.Generator().manual_seed(seed)
    module = nn.Linear(8, CLASSES)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    return module


def bfloat16():
    return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES)).bfloat16()


class Hippo(nn.Module):
    """Two layers with the same trainable table."""

    def __init__(self):
        super().__init__()
        table = torch.arange(1.0, 9.0).log()[None].repeat(8, 1)
        self.first, self.second = nn.Parameter(table), nn.Parameter(table.clone())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head((x @ self.first).tanh() @ self.second)


class ScaledEmbedding(nn.Linear):
    """Adds a buffer, and inherits a reset_parameters that does not know it."""

    def __init__(self):
        super().__init__(8, CLASSES)
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, x):
        return super().forward(x) * self.scale


def weight_normed_by_a_hook():
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES))
    nn.utils.weight_norm(module[0])
    return module


class Masked(nn.Module):
    """A layer of torch that gets a buffer from outside."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, CLASSES)
        self.layer.register_buffer("mask", torch.ones(CLASSES, 8))

    def forward(self, x):
        return nn.functional.linear(x, self.layer.weight * self.layer.mask, self.layer.bias)


class SlicesOfOneDraw(nn.Module):
    """Parameters in different parts of one memory."""

    def __init__(self):
        super().__init__()
        drawn = torch.randn(104)
        self.first = nn.Parameter(drawn[:64].view(8, 8))
        self.last = nn.Parameter(drawn[64:].view(CLASSES, 8))

    def forward(self, x):
        return (x @ self.first).tanh() @ self.last.T


def signs():
    """Weights of -1 and 1, of which many short rows are equal by chance."""
    module = nn.Sequential(nn.Linear(8, 64), nn.Linear(64, CLASSES))
    with torch.no_grad():
        module[0].weight.copy_(torch.randint(0, 2, (64, 8)) * 2.0 - 1)
    return module


class NoisyLinear(nn.Module):
    """Its buffer holds an outer product: so few numbers that two draws have other variances."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.mean = nn.Parameter(torch.empty(outputs, inputs))
        self.spread = nn.Parameter(torch.empty(outputs, inputs))
        self.register_buffer("noise", torch.empty(outputs, inputs))
        self.reset_parameters()

    def reset_parameters(self):
        bound = self.mean.shape[1] ** -0.5
        nn.init.uniform_(self.mean, -bound, bound)
        nn.init.constant_(self.spread, bound / 2)
        rows, columns = (torch.randn(size) for size in self.noise.shape)
        rows, columns = (each.sign() * each.abs().sqrt() for each in (rows, columns))
        self.noise.copy_(rows.outer(columns))

    def forward(self, x):
        return nn.functional.linear(x, self.mean + self.spread * self.noise)


def noisy():
    """As many layers as two draws of the noise need to differ under the inspected seeds."""
    widths = (8, 64, 4, 32, 3, 64, 2, 64, 3, 32, 2, 16, CLASSES)
    return nn.Sequential(*(NoisyLinear(*pair) for pair in itertools.pairwise(widths)))


class OneNumber(nn.Module):
    """Its temperature and its threshold are single numbers, drawn at random."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, CLASSES)
        self.temperature = nn.Parameter(torch.empty(()))
        self.register_buffer("threshold", torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.uniform_(self.temperature, 0.5, 1.5)
        nn.init.uniform_(self.threshold, -0.1, 0.1)

    def forward(self, x):
        return self.layer(x - self.threshold) * self.temperature


class MovingTeacher(nn.Module):
    """A copy that an average of weights moves: not frozen, and used without grad mode."""

    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, CLASSES))
        self.teacher = copy.deepcopy(self.student)
        self.scale = nn.Parameter(torch.randn(8))
        self.average = nn.Parameter(self.scale.detach().clone())

    def forward(self, x):
        with torch.no_grad():
            target = self.teacher(x * self.average)
        return self.student(x * self.scale) + target


class Averaged(nn.Module):
    """A copy of torch.optim.swa_utils, which the loss does not use."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, CLASSES)
        self.average = torch.optim.swa_utils.AveragedModel(self.layer)

    def forward(self, x):
        return self.layer(x)


class Alternating(nn.Module):
    """Every second layer is orthogonal, and a ReLU follows the others."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(6))
        self.first, self.head = nn.Linear(8, 32), nn.Linear(32, CLASSES)
        for number, layer in enumerate(self.layers):
            init = nn.init.orthogonal_ if number % 2 else nn.init.kaiming_normal_
            init(layer.weight)

    def forward(self, x):
        x = self.first(x)
        for number, layer in enumerate(self.layers):
            x = layer(x) if number % 2 else layer(x).relu()
        return self.head(x)
