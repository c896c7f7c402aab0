"""Faults that people reported in public threads, each rebuilt as a small module.

They were written from the threads before any of them was inspected.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from tests.inspection.faulty import CLASSES


class AttentionVector(nn.Module):
    """huggingface/torchMoji#11: the vector that weighs time steps is allocated and not set."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 8)
        self.attention = nn.Parameter(torch.Tensor(8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        steps = self.inner(x.unflatten(1, (2, 4))).tanh()
        weights = (steps @ self.attention).softmax(1)
        return self.head((weights[..., None] * steps).sum(1))


class GainsOfANorm(nn.Module):
    """huggingface/transformers#143: a generic rule draws the gains and biases of every norm."""

    def __init__(self):
        super().__init__()
        self.inner, self.norm = nn.Linear(8, 32), nn.LayerNorm(32)
        self.head = nn.Linear(32, CLASSES)
        for part in self.modules():
            for parameter in part.parameters(recurse=False):
                nn.init.normal_(parameter, std=0.02)

    def forward(self, x):
        return self.head(self.norm(self.inner(x).relu()))


class AttentionWithoutBias(nn.Module):
    """pytorch/pytorch#52545: the output's bias stays random if the other biases are left out."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, bias=False)
        drawn = torch.empty(8).uniform_(-1 / 8**0.5, 1 / 8**0.5)
        self.attention.out_proj.bias = nn.Parameter(drawn)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.attention(x, x, x)[0])


def brackets_missing():
    """mlverse/torch#555: the square root of 2 / fan_in + fan_out, without the brackets."""
    module = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, CLASSES))
    for part in (module[0], module[2]):
        fan_out, fan_in = part.weight.shape
        nn.init.normal_(part.weight, std=math.sqrt(2.0 / fan_in + fan_out))
    return module


class DepthScaledGate(nn.Module):
    """pytorch/torchtitan#3334: the factor for the depth goes to a projection inside the branch."""

    def __init__(self, depth=8):
        super().__init__()
        self.gate, self.value = nn.Linear(8, 32, bias=False), nn.Linear(8, 32, bias=False)
        self.output = nn.Linear(32, 8, bias=False)
        self.head = nn.Linear(8, CLASSES)
        nn.init.normal_(self.gate.weight, std=0.02)
        for part in (self.value, self.output):
            nn.init.normal_(part.weight, std=0.02 / math.sqrt(2 * depth))

    def forward(self, x):
        branch = self.output(nn.functional.silu(self.gate(x)) * self.value(x))
        return self.head(x + branch)


class InitOfATensor(nn.Module):
    """open-mmlab/mmdetection PR 6432: a function for modules gets a tensor, and does nothing."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)
        for part in (self.layer, self.head):
            self.trunc_normal_init(part.weight, std=0.02)

    @staticmethod
    def trunc_normal_init(module, std):
        if hasattr(module, "weight"):
            nn.init.trunc_normal_(module.weight, std=std)

    def forward(self, x):
        return self.head(self.layer(x).relu())


def dead_by_random_biases():
    """facebookresearch/dlrm PR 358: biases so negative that ReLU units never open."""
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    nn.init.normal_(module[0].bias, std=50.0)
    return module


class SkippedByAFlag(nn.Module):
    """ByteDance-Seed/VeOmni#163: after to_empty a flag says that all is initialized."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(CLASSES, 8))
        self.initialized = False
        self.reset_parameters()

    def reset_parameters(self):
        if not self.initialized:
            nn.init.normal_(self.weight)
        self.initialized = True

    def forward(self, x):
        return x @ self.weight.T


class ReusedSlot(nn.Module):
    """NovaSky-AI/SkyRL PR 852: a slot of adapters is cleared, and used without a new draw."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(8, CLASSES).requires_grad_(requires_grad=False)
        self.a = nn.Parameter(torch.randn(3, 8, 2))
        self.b = nn.Parameter(torch.zeros(3, 2, CLASSES))
        with torch.no_grad():
            self.a[1] = 0  # cleared when its tenant left
            self.b[1] = 0

    def forward(self, x):
        return self.base(x) + x @ self.a[1] @ self.b[1]


def same_seed_for_each_layer():
    """netket/netket#241: every layer is drawn from one seed."""
    generator = torch.Generator()
    seed = int(torch.randint(0, 2**31, ()))
    module = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, CLASSES))
    for part in (module[0], module[2], module[3]):
        nn.init.normal_(part.weight, generator=generator.manual_seed(seed))
    return module


REPORTED = [
    AttentionVector, GainsOfANorm, AttentionWithoutBias, brackets_missing, DepthScaledGate,
    InitOfATensor, dead_by_random_biases, SkippedByAFlag, ReusedSlot, same_seed_for_each_layer,
]  # fmt: skip
