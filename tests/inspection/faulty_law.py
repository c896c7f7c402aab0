"""Modules whose weights follow a law that is not the one meant. Each must be found."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

import torch
from torch import nn

from tests.inspection.faulty import CLASSES


def depthwise_fan_out():
    """He's law by fan-out, for convolutions whose units see one channel each."""
    module = nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3, groups=32))
    for part in module:
        nn.init.kaiming_normal_(part.weight, mode="fan_out")
    return module


def depthwise_by_hand():
    """The same law without torch.nn.init, which only the variances tell."""
    module = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3, groups=64),
        nn.Conv2d(64, 192, 1), nn.Conv2d(192, 192, 3, groups=192),
    )  # fmt: skip
    for part in module:
        fan_out = part.out_channels * part.kernel_size[0] ** 2
        part.weight.data.normal_(0, (2 / fan_out) ** 0.5)
    return module


def grouped_glorot():
    module = nn.Conv1d(32, 32, 5, groups=8)
    nn.init.xavier_uniform_(module.weight)
    return module


def transposed_fan_in():
    module = nn.Sequential(nn.ConvTranspose2d(32, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))
    nn.init.kaiming_normal_(module[0].weight)
    return module


def transposed_by_one_rule():
    """One rule by fan-out for both kinds of convolution."""
    module = nn.Sequential(nn.Conv2d(4, 32, 3), nn.ReLU(), nn.ConvTranspose2d(32, 4, 3))
    for part in module:
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(part.weight, mode="fan_out")
    return module


class Block(nn.Module):
    def __init__(self, std=0.02):
        super().__init__()
        self.up, self.down = nn.Linear(32, 64), nn.Linear(64, 32)
        nn.init.normal_(self.up.weight, std=0.02)
        nn.init.normal_(self.down.weight, std=std)

    def forward(self, x):
        return x + self.down(self.up(x).relu())


class Blocks(nn.Sequential):
    """Blocks whose last weight has the standard deviations given."""

    def __init__(self, *stds):
        super().__init__(*[Block(std) for std in stds], nn.Linear(32, CLASSES))


def prefix_of_a_number():
    """A rule for block 1 that matched blocks 10 and 11, too."""
    module = Blocks(*[0.02] * 12)
    for name, parameter in module.named_parameters():
        if name.startswith("1") and name.endswith("down.weight"):
            nn.init.normal_(parameter, std=0.002)
    return module


def one_block_left_out():
    return Blocks(0.005, 0.005, 0.02, 0.005, 0.005)


def packed_glorot():
    return nn.MultiheadAttention(32, 4)


def packed_gates():
    module = nn.LSTM(16, 32)
    nn.init.xavier_uniform_(module.weight_ih_l0)
    return module


# --- initializations and resets -------------------------------------------------------------------


def plain_blocks():
    return Blocks(*[0.02] * 3)


def pattern_without_a_match(module):
    """The name of a parameter has the names of its parts before it."""
    for name, parameter in module.named_parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.02)
        else:
            nn.init.zeros_(parameter)
        if name == "down.weight":
            nn.init.normal_(parameter, std=0.005)


def special_before_generic(module):
    for name, parameter in module.named_parameters():
        if name.endswith("down.bias"):
            nn.init.constant_(parameter, -2.0)
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.zeros_(part.bias)


def biases_only(module):
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


class StepBias(nn.Module):
    """A bias of step sizes, which the initialization of all layers overwrites."""

    def __init__(self):
        super().__init__()
        self.inner, self.step, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)
        with torch.no_grad():
            self.step.bias.copy_(torch.rand(8).log())
        self.apply(biases_only)

    def forward(self, x):
        return self.head(self.step(self.inner(x)))


def weight_normed_then_written():
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES))
    nn.utils.parametrizations.weight_norm(module[0])
    module[0].weight.data.normal_(0, 0.02)
    return module


def weight_normed_by_a_hook_then_written():
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES))
    nn.utils.weight_norm(module[0])
    nn.init.normal_(module[0].weight.data, std=0.02)
    return module


class LayerScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((8,), 1e-5))

    def reset_parameters(self):
        nn.init.ones_(self.gamma)

    def forward(self, x):
        return x * self.gamma


def layer_scale():
    return nn.Sequential(nn.Linear(8, 8), LayerScale(), nn.Linear(8, CLASSES))


class OtherLaw(nn.Module):
    """Its reset_parameters draws from another law than its constructor."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 64) * 0.02)

    def reset_parameters(self):
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, x):
        return x @ self.weight


# --- precision ------------------------------------------------------------------------------------


def inverse_cdf(dtype=torch.bfloat16, end=2.0):
    """A truncated normal law by the inverse of its distribution, as it is often written."""
    module = nn.Linear(64, 64, dtype=dtype)
    with torch.no_grad():
        module.weight.uniform_(-1, 1).erfinv_().mul_(0.02 * 2**0.5).clamp_(-end, end)
    return module


def inverse_cdf_without_ends():
    return inverse_cdf(end=float("inf"))


def identity_with_noise(dtype=torch.bfloat16):
    """Noise that is smaller than the distance of the numbers next to 1."""
    module = nn.Linear(64, 64, dtype=dtype)
    with torch.no_grad():
        module.weight.copy_(1 + 1e-3 * torch.randn(64, 64, dtype=dtype))
    return module


class Angles(nn.Module):
    """A table that is computed from large numbers in low precision."""

    def __init__(self):
        super().__init__()
        positions = torch.arange(512, dtype=torch.bfloat16)[:, None]
        frequencies = 10_000 ** (-torch.arange(0, 8, dtype=torch.bfloat16) / 8)
        self.register_buffer("table", (positions * frequencies).sin())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(x + self.table[0].float())
