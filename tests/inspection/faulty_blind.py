"""Faults of kinds that were written down without sight of the checks, each with its repair."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Case:
    """A module with a fault, the same without it, and what is wrong."""

    build: Callable[[], nn.Module]  # the faulty one; a new module at every call
    healthy: Callable[[], nn.Module]  # the same without the fault
    batch: Callable[[], tuple[Any, Any]]  # (inputs, targets)
    parameters: tuple[str, ...]  # names of the parameters or buffers that are wrong
    why: str  # what is wrong, and what it does to training
    kind: str  # two to four words


def vectors(rows, width, classes):
    """Normal rows and a class of each, which its own first entries decide."""
    inputs = torch.randn(rows, width, generator=torch.Generator().manual_seed(11))
    return inputs, inputs[:, :classes].argmax(1)


def tokens(rows, length, words, classes, padded=False):  # noqa: FBT002
    """Rows of words from 1 on, a class of each, and, where asked, zeros for padding at the end."""
    drawn = torch.Generator().manual_seed(12)
    inputs = torch.randint(1, words, (rows, length), generator=drawn)
    targets = inputs[:, 0] % classes
    if padded:
        ends = torch.randint(1, length, (rows, 1), generator=drawn)
        inputs = inputs.masked_fill(torch.arange(length) >= ends, 0)
    return inputs, targets


def images(rows, channels, size):
    """Normal images."""
    drawn = torch.Generator().manual_seed(13)
    return torch.randn(rows, channels, size, size, generator=drawn)


def pretrained(wide, width):
    """What a checkpoint of a linear layer holds: the same weights whatever the seed."""
    drawn = torch.Generator().manual_seed(14)
    weight = torch.randn(wide, width, generator=drawn) / math.sqrt(width)
    return {"weight": weight, "bias": 0.01 * torch.randn(wide, generator=drawn)}


class LowRank(nn.Module):
    """A frozen pretrained layer and its low-rank update."""

    def __init__(self, width, rank, *, broken):
        super().__init__()
        self.base = nn.Linear(width, width)
        self.base.load_state_dict(pretrained(width, width))
        self.base.requires_grad_(False)
        self.down = nn.Parameter(torch.zeros(rank, width))
        self.up = nn.Parameter(torch.zeros(width, rank))
        if not broken:
            nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x):
        return self.base(x) + x @ self.down.T @ self.up.T


def low_rank(*, broken):
    return nn.Sequential(LowRank(24, 4, broken=broken), nn.ReLU(), nn.Linear(24, 4))


class TwinCritic(nn.Module):
    """Two critics of a state and an action, of which a learner takes the lower value."""

    def __init__(self, states, actions, *, broken):
        super().__init__()
        self.first = self.critic(states + actions)
        self.second = copy.deepcopy(self.first) if broken else self.critic(states + actions)

    @staticmethod
    def critic(width):
        return nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, state, action):
        both = torch.cat([state, action], 1)
        return torch.cat([self.first(both), self.second(both)], 1)


def transitions():
    drawn = torch.Generator().manual_seed(15)
    state = torch.randn(64, 6, generator=drawn)
    action = torch.rand(64, 2, generator=drawn) * 2 - 1
    value = (state[:, :2] * action).sum(1, keepdim=True)
    return {"state": state, "action": action}, value.repeat(1, 2)


class Unit(nn.Module):
    """A convolution over time and its activation."""

    def __init__(self, channels, wide, act=nn.PReLU()):  # noqa: B008
        super().__init__()
        self.conv = nn.Conv1d(channels, wide, 3, padding=1)
        self.act = act

    def forward(self, x):
        return self.act(self.conv(x))


def speech(*, broken):
    sizes = [(1, 12), (12, 12), (12, 12)]
    units = [Unit(*size) if broken else Unit(*size, nn.PReLU()) for size in sizes]
    return nn.Sequential(*units, nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(48, 3))


def waves():
    pitch = torch.arange(48) % 3
    phase = torch.rand(48, 1, generator=torch.Generator().manual_seed(16))
    times = torch.arange(64) / 64
    return torch.sin(6.28 * (4.0 * (pitch[:, None] + 1) * times + phase))[:, None], pitch


class TiedModel(nn.Module):
    """A model of words whose output layer is its table of words."""

    def __init__(self, words, width, *, std, by_data):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        if std is not None:
            nn.init.normal_(self.embed.weight, std=std)
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        if by_data:
            self.head.weight.data = self.embed.weight.data
        else:
            self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.norm(self.mix(self.embed(x)).mean(1)))


class RotaryAttention(nn.Module):
    """Attention with rotary positions, made without memory and then filled."""

    def __init__(self, words, width, classes, *, broken):
        super().__init__()
        self.width, self.broken = width, broken
        self.embed = nn.Embedding(words, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, classes)
        self.register_buffer("inv_freq", self.rates(), persistent=False)

    def rates(self):
        return 1e4 ** -(torch.arange(0, self.width, 2) / self.width)

    def reset_parameters(self):
        for layer in (self.embed, self.qkv, self.head):
            layer.reset_parameters()
        if not self.broken:
            self.inv_freq.copy_(self.rates())

    def turn(self, x):
        angles = torch.outer(torch.arange(x.shape[1]).float(), self.inv_freq)
        left, right = x.chunk(2, -1)
        cos, sin = angles.cos(), angles.sin()
        return torch.cat([left * cos - right * sin, left * sin + right * cos], -1)

    def forward(self, x):
        query, key, value = self.qkv(self.embed(x)).chunk(3, -1)
        scores = self.turn(query) @ self.turn(key).transpose(1, 2) / math.sqrt(self.width)
        return self.head((scores.softmax(-1) @ value).mean(1))


def rotary(*, broken):
    with torch.device("meta"):
        model = RotaryAttention(20, 16, 4, broken=broken)
    model.to_empty(device="cpu")
    model.reset_parameters()
    return model


class NoiseModel(nn.Module):
    """A denoiser that knows the time by random Fourier features."""

    def __init__(self, width, features, *, broken):
        super().__init__()
        frequencies = 4.0 * torch.randn(features)
        self.register_buffer("frequencies", frequencies, persistent=not broken)
        self.inward = nn.Linear(width + 2 * features, 64)
        self.outward = nn.Linear(64, width)

    def forward(self, x, time):
        angles = 2 * math.pi * time[:, None] * self.frequencies
        known = torch.cat([x, angles.sin(), angles.cos()], 1)
        return self.outward(torch.relu(self.inward(known)))


def noised():
    drawn = torch.Generator().manual_seed(17)
    time, noise = torch.rand(64, generator=drawn), torch.randn(64, 4, generator=drawn)
    return (1 - time[:, None] + time[:, None] * noise, time), noise


class RelationLayer(nn.Module):
    """Messages along edges of several relations, one weight each."""

    def __init__(self, relations, width, wide, *, broken):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(relations, width, wide))
        for each in [self.weight] if broken else self.weight:
            nn.init.xavier_uniform_(each)

    def forward(self, x, edges):
        return torch.einsum("rij,jc,rcd->id", edges, x, self.weight)


class RelationNet(nn.Module):
    """Three relational layers and a class of each node."""

    def __init__(self, relations, width, classes, *, broken):
        super().__init__()
        self.layers = nn.ModuleList(
            RelationLayer(relations, width, width, broken=broken) for _ in range(3)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x, edges):
        for layer in self.layers:
            x = torch.relu(layer(x, edges))
        return self.head(x)


def graph():
    nodes, targets = vectors(40, 48, 3)
    near = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(18)) < 0.08
    near = near / near.sum(2, keepdim=True).clamp(min=1)
    return {"x": nodes, "edges": torch.cat([torch.eye(40)[None], near])}, targets


class Block(nn.Module):
    """A normalised residual block."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


def residual(*, broken):
    model = nn.Sequential(
        nn.Linear(16, 32), Block(32), Block(32), nn.LayerNorm(32), nn.Linear(32, 4)
    )
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            elif broken or not isinstance(module, nn.LayerNorm):
                nn.init.zeros_(parameter)
    return model


class BagOfWords(nn.Module):
    """The mean of the words of a padded text, and its class."""

    def __init__(self, words, width, classes, *, broken):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.head = nn.Linear(width, classes)
        nn.init.normal_(self.embed.weight, std=0.5)
        if not broken:
            nn.init.zeros_(self.embed.weight[0].data)

    def forward(self, x):
        count = (x != 0).sum(1, keepdim=True)
        return self.head(self.embed(x).sum(1) / count)


CASES: dict[str, Case] = {
    "adapter_both_zero": Case(
        partial(low_rank, broken=True),
        partial(low_rank, broken=False),
        partial(vectors, 64, 24, 4),
        ("0.down", "0.up"),
        "Both factors of the low-rank update are zero, so each one's gradient is exactly zero and "
        "the update never learns.",
        "product of two zeros",
    ),
    "twin_critics_copied": Case(
        partial(TwinCritic, 6, 2, broken=True),
        partial(TwinCritic, 6, 2, broken=False),
        transitions,
        ("second.0.weight", "second.0.bias", "second.2.weight", "second.2.bias"),
        "The second critic is a copy of the first and gets the same gradients, so the two stay "
        "one and the lower of their values corrects nothing.",
        "twin is a copy",
    ),
    "default_activation_shared": Case(
        partial(speech, broken=True),
        partial(speech, broken=False),
        waves,
        ("0.act.weight",),
        "A PReLU in the default of an argument is one slope for all layers and even for all "
        "models of the process, so training one model changes the others.",
        "shared default argument",
    ),
    "tied_by_data": Case(
        partial(TiedModel, 40, 32, std=0.02, by_data=True),
        partial(TiedModel, 40, 32, std=0.02, by_data=False),
        partial(tokens, 64, 6, 40, 40),
        ("embed.weight", "head.weight"),
        "The table and the output layer are two parameters in one memory, so an optimiser updates "
        "it twice a step, by a part of the gradient each, and any copy or move unties them.",
        "two parameters, one memory",
    ),
    "rotary_lost_on_meta": Case(
        partial(rotary, broken=True),
        partial(rotary, broken=False),
        partial(tokens, 64, 8, 20, 4),
        ("inv_freq",),
        "The rotary frequencies were computed on the meta device and nothing fills them after "
        "to_empty, so the positions are whatever the memory held.",
        "buffer left unfilled",
    ),
    "random_features_not_saved": Case(
        partial(NoiseModel, 4, 12, broken=True),
        partial(NoiseModel, 4, 12, broken=False),
        noised,
        ("frequencies",),
        "The frequencies are drawn at random and are not in the state_dict, so a loaded model "
        "computes other features than the ones that its weights were trained on.",
        "random buffer not saved",
    ),
    "fans_of_stacked_weight": Case(
        partial(RelationNet, 4, 48, 3, broken=True),
        partial(RelationNet, 4, 48, 3, broken=False),
        graph,
        ("layers.0.weight", "layers.1.weight", "layers.2.weight"),
        "Glorot's rule read the stack of matrices as one convolution with a kernel as long as "
        "the layer is wide, so the weights are several times too small and the signal vanishes.",
        "fans of a stack",
    ),
    "norm_scales_zeroed": Case(
        partial(residual, broken=True),
        partial(residual, broken=False),
        partial(vectors, 64, 16, 4),
        ("1.norm.weight", "2.norm.weight", "3.weight"),
        "A rule that sets everything with one dimension to zero took the norms' scales for "
        "biases, so the outputs are constant and nothing below the last norm gets a gradient.",
        "norm scales zeroed",
    ),
    "padding_row_overwritten": Case(
        partial(BagOfWords, 30, 16, 4, broken=True),
        partial(BagOfWords, 30, 16, 4, broken=False),
        partial(tokens, 64, 10, 30, 4, padded=True),
        ("embed.weight",),
        "Drawing the whole table again gave the padding word a vector that never gets a gradient, "
        "so padding adds the same noise to every short text for ever.",
        "padding row not zero",
    ),
    "tied_head_too_large": Case(
        partial(TiedModel, 200, 96, std=None, by_data=False),
        partial(TiedModel, 200, 96, std=0.02, by_data=False),
        partial(tokens, 64, 6, 200, 200),
        ("embed.weight",),
        "The output layer is tied to a table with entries of size one, so the first logits have "
        "the size of the root of the width and the loss starts far above that of guessing.",
        "tied head too large",
    ),
}
