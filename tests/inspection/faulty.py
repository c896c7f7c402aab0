"""Modules with one fault each in their start, and batches for them. Each must be found."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

import copy

import torch
from torch import nn

CLASSES = 5


def rows(width=8):
    """Sixteen samples with class labels, from a fixed seed."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.randint(0, CLASSES, (16,), generator=generator)
    return torch.randn(16, width, generator=generator), labels


def copied_blocks():
    block = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
    return nn.Sequential(*[copy.deepcopy(block) for _ in range(6)], nn.Linear(8, CLASSES))


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, CLASSES)
        self.second = copy.deepcopy(self.first)

    def forward(self, x):
        return self.first(x) + self.second(x)


class EmptyBias(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, 8))
        self.bias = nn.Parameter(torch.empty(CLASSES))

    def forward(self, x):
        return x @ self.weight.T + self.bias


class LegacyBias(EmptyBias):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.Tensor(CLASSES))


class ScaledEmpty(EmptyBias):
    """Arithmetic on memory that nobody wrote."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.empty(CLASSES) * 0.02)


class HalfWritten(EmptyBias):
    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.bias[:2] = 0


class EmptyBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, 8))
        self.register_buffer("counts", torch.empty(3, dtype=torch.int64))

    def forward(self, x):
        return x @ self.weight.T


class LostBuffer(nn.Module):
    """Its reset_parameters forgets a buffer that is not in the checkpoint either."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(CLASSES, 8))
        self.register_buffer("frequencies", torch.arange(8.0), persistent=False)
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.normal_(self.weight)

    def forward(self, x):
        return (x * self.frequencies) @ self.weight.T


class LayerScaleReset(nn.Module):
    """Its constructor sets 1e-5, and its reset_parameters ones."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.full((8,), 1e-5))

    def reset_parameters(self):
        nn.init.ones_(self.gain)

    def forward(self, x):
        return x * self.gain


def layer_scale():
    return nn.Sequential(nn.Linear(8, 8), LayerScaleReset(), nn.Linear(8, CLASSES))


def deferred_attention():
    """Built on meta, as frameworks for large models do."""
    with torch.device("meta"):
        module = nn.MultiheadAttention(8, 2)
    module.to_empty(device="cpu")
    for part in module.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    return module


class Lora(nn.Module):
    def __init__(self, a=0.0, b=0.0):
        super().__init__()
        self.base = nn.Linear(8, CLASSES)
        self.a = nn.Parameter(a * torch.randn(2, 8))
        self.b = nn.Parameter(b * torch.randn(CLASSES, 2))

    def forward(self, x):
        return self.base(x) + x @ self.a.T @ self.b.T


def zeroed_rows_of_output():
    """`weight[None] = 0` zeroes everything, where one row was meant, in two layers in series."""
    module = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, CLASSES, bias=False))
    row = None
    with torch.no_grad():
        module[0].weight[row] = 0
        module[1].weight[row] = 0
    return module


def constant_inner_seed():
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES))
    for part in module:
        nn.init.normal_(part.weight, generator=torch.Generator().manual_seed(0))
    return module


def seeds_itself():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES))


def seeds_its_embedding():
    """A weight of random numbers, of which one row is set to zero later."""
    torch.manual_seed(0)
    return nn.Embedding(12, 8, padding_idx=0)


def ignores_its_seed(seed):
    return nn.Linear(8, CLASSES)


_CALLS = [0]


def counts_calls():
    _CALLS[0] += 1
    module = nn.Linear(8, CLASSES)
    nn.init.constant_(module.bias, float(_CALLS[0]))
    return module


def python_hash():
    """Draws from an unseeded generator."""
    module = nn.Linear(8, CLASSES)
    generator = torch.Generator()
    generator.seed()
    nn.init.normal_(module.weight, generator=generator)
    return module


class TieLost(nn.Module):
    """A head that is tied to the embedding and parts from it when the module is copied."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 8)
        self.head = nn.Linear(8, CLASSES, bias=False)
        self.head.weight = self.embedding.weight

    def __deepcopy__(self, memo):
        new = type(self)()
        new.head.weight = nn.Parameter(self.head.weight.detach().clone())
        return new

    def forward(self, x):
        return self.head(x)


class TieLostInItsState(nn.Module):
    """A head that is tied to the embedding, and parts from it when a state is loaded."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 8)
        self.head = nn.Linear(8, CLASSES, bias=False)
        self.head.weight = self.embedding.weight

    def load_state_dict(self, state, *args, **kwargs):
        self.head.weight = nn.Parameter(state["head.weight"].clone())
        return super().load_state_dict(state, *args, **kwargs)

    def forward(self, x):
        return self.head(x)


class GatesOfOneDraw(nn.Module):
    """A recurrent cell whose four gates start as copies."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(8, 6), nn.Linear(6, CLASSES)
        for parameter in self.cell.parameters():
            parameter.data.copy_(torch.cat([torch.randn_like(parameter[:6])] * 4))

    def forward(self, x):
        return self.head(self.cell(x)[0])


class CopiedFilters(nn.Sequential):
    """A convolution in which two filters are equal."""

    def __init__(self):
        super().__init__(nn.Conv2d(2, 6, 3, bias=False), nn.Flatten(), nn.Linear(24, CLASSES))
        with torch.no_grad():
            self[0].weight[4] = self[0].weight[1]


class HeadsOfAttention(nn.Module):
    """Queries, keys and values of one draw, in torch's packed weight."""

    def __init__(self):
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(8, 2), nn.Linear(8, CLASSES)
        self.attention.in_proj_weight.data.copy_(torch.randn(8, 8).repeat(3, 1))

    def forward(self, x):
        return self.head(self.attention(x, x, x)[0])


def zero_row():
    """`weight[3] = 0`, as for a padding row, in a layer that has none."""
    module = nn.Linear(8, 6)
    with torch.no_grad():
        module.weight[3] = 0
    return module


def cloned_experts():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(1, CLASSES, 8).repeat(4, 1, 1))

        def forward(self, x):
            return torch.einsum("eoi,ni->no", self.weight, x)

    return Experts()


def two_halves():
    """One tensor of units that was drawn as two shards from one seed."""
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    half = torch.randn(8, 8)
    with torch.no_grad():
        module[0].weight.copy_(torch.cat([half, half]))
    return module


class PaddingOverwritten(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8, padding_idx=3)
        nn.init.normal_(self.embedding.weight)

    def forward(self, x):
        return self.embedding(x)


def nan_from_the_start():
    module = nn.Linear(8, CLASSES)
    nn.init.constant_(module.bias, torch.nan)
    return module


class DoubleGate(nn.Module):
    """ReZero's scalar and the last weight of its branch are both zero."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, CLASSES)
        self.inner = nn.Linear(8, 8)
        self.outer = nn.Linear(8, 8, bias=False)
        self.alpha = nn.Parameter(torch.zeros(()))
        nn.init.zeros_(self.outer.weight)

    def forward(self, x):
        return self.head(x + self.alpha * self.outer(self.inner(x).relu()))


class DetachedBranch(nn.Module):
    """Its gate is rounded, so no gradient ever comes back to it."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, CLASSES)
        self.gate = nn.Linear(8, 8)

    def forward(self, x):
        return self.head(x * self.gate(x).round())


class LastOfBidirectional(nn.Module):
    """Reads the last time step, which the backward direction has only just begun with."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(4, 8, bidirectional=True, batch_first=True)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.head(self.cell(x.unflatten(1, (2, 4)))[0][:, -1])


class DeadByBias(nn.Sequential):
    """A ReLU layer whose biases keep every unit at zero."""

    def __init__(self):
        super().__init__(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))
        nn.init.constant_(self[0].bias, -100.0)


def one_copied_unit():
    module = nn.Linear(8, 6)
    with torch.no_grad():
        module.weight[5] = module.weight[2]
    return module


class ZeroFactorsInADict(nn.Module):
    """Parameters whose owner is never called."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(8, CLASSES)
        self.adapters = nn.ParameterDict({"a": torch.zeros(2, 8), "b": torch.zeros(CLASSES, 2)})

    def forward(self, x):
        return self.base(x) + x @ self.adapters["a"].T @ self.adapters["b"].T


class ZeroFactorsByFunction(nn.Module):
    """Layers whose weights are used without a call of the layers."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(8, CLASSES)
        self.inner, self.outer = nn.Linear(8, 2, bias=False), nn.Linear(2, CLASSES, bias=False)
        nn.init.zeros_(self.inner.weight)
        nn.init.zeros_(self.outer.weight)

    def forward(self, x):
        low = nn.functional.linear(x, self.inner.weight)
        return self.base(x) + nn.functional.linear(low, self.outer.weight)
