"""Modules whose weights follow a law that is not the one meant. Each must be found."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

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
