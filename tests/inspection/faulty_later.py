"""More faults that people reported in public threads, rebuilt after some had been inspected."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tests.inspection.faulty import CLASSES


class PlainEmpty(nn.Module):
    """openai/CLIP#15: a positional embedding is allocated, and only a checkpoint fills it."""

    def __init__(self):
        super().__init__()
        self.positions = nn.Parameter(torch.empty(2, 4))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head((x.unflatten(1, (2, 4)) + self.positions).flatten(1))


def uninitialized_transitions():
    """kmkurn/pytorch-crf#1: start, end and transition scores are allocated and not set."""
    module = nn.Module()
    module.start = nn.Parameter(torch.Tensor(CLASSES))
    module.transitions = nn.Parameter(torch.Tensor(CLASSES, CLASSES))
    return module


class NumbersOfNumpy(nn.Module):
    """bayer-science-for-a-better-life/phc-gnn#3: draws from a generator that nobody seeds."""

    def __init__(self):
        super().__init__()
        drawn = np.random.default_rng().normal(size=(CLASSES, 8))
        self.weight = nn.Parameter(torch.from_numpy(drawn).float())

    def forward(self, x):
        return x @ self.weight.T


class FixedNumbersOfNumpy(nn.Module):
    """A seed of numpy inside the constructor: every run starts from the same numbers."""

    def __init__(self):
        super().__init__()
        drawn = np.random.default_rng(0).normal(size=(CLASSES, 8))
        self.weight = nn.Parameter(torch.from_numpy(drawn).float())

    def forward(self, x):
        return x @ self.weight.T


def seed_that_is_dropped(seed):
    """ooples/AiDotNet#1785: the seed is taken, and later parts are drawn without it."""
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES))
    for parameter in module[0].parameters():
        nn.init.normal_(parameter, generator=generator)
    return module


class BothFactorsRandom(nn.Module):
    """mflux-community/mflux#739: an adapter that changes the model before the first step."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(8, CLASSES).requires_grad_(requires_grad=False)
        self.a = nn.Parameter(torch.randn(8, 2) / 8**0.5)
        self.b = nn.Parameter(torch.randn(2, CLASSES) / 8**0.5)

    def forward(self, x):
        return self.base(x) + x @ self.a @ self.b


def adapter_zeroed_by_the_model():
    """nvidia-cosmos/cosmos-predict2.5 PR 15: the model's zeros come after the adapter's draw."""
    module = BothFactorsRandom()
    for name, parameter in module.named_parameters():
        if "base" not in name:
            nn.init.zeros_(parameter)
    return module


class ClonesOfALayer(nn.Module):
    """harvardnlp/annotated-transformer#9, without the draw that follows there."""

    def __init__(self):
        super().__init__()
        layer = nn.Linear(8, 8)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        for each in self.layers:
            each.load_state_dict(layer.state_dict())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        for each in self.layers:
            x = x + each(x).tanh()
        return self.head(x)


class EnsembleOfOne(nn.Module):
    """Critics of an ensemble that are drawn after the same manual_seed."""

    def __init__(self):
        super().__init__()
        seed = int(torch.randint(0, 2**31, ()))
        self.critics = nn.ModuleList()
        for _ in range(2):
            torch.manual_seed(seed)
            self.critics.append(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES)))

    def forward(self, x):
        return torch.stack([each(x) for each in self.critics]).mean(0)


class ExpandedQueries(nn.Module):
    """Learned queries made by repeating one draw: all slots answer equally for ever."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, 1, 8).repeat(1, 6, 1))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        scores = (self.queries[0] @ x.T).softmax(-1)  # (6, N)
        return self.head(x + (scores.mT @ self.queries[0]))


class TransposedCopy(nn.Module):
    """A decoder that starts as the encoder's transpose, meant to be tied."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(8, 6, bias=False)
        self.decoder = nn.Linear(6, 8, bias=False)
        self.head = nn.Linear(8, CLASSES)
        self.decoder.weight.data.copy_(self.encoder.weight.data.T)

    def forward(self, x):
        return self.head(self.decoder(self.encoder(x)))


class ShardsOfOneSeed(nn.Module):
    """Tensor parallelism that draws each shard of columns from the same seed."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(16, 8), nn.Linear(8, CLASSES)
        half = torch.randn(8, 8)
        self.inner.weight.data.copy_(torch.cat([half, half], dim=1))

    def forward(self, x):
        return self.head(self.inner(torch.cat([x, x.square()], 1)).tanh())


class HeadsOfOneDraw(nn.Module):
    """A fused projection of three, with one draw for queries, keys and values."""

    def __init__(self):
        super().__init__()
        self.projection, self.head = nn.Linear(8, 24), nn.Linear(8, CLASSES)
        self.projection.weight.data.copy_(torch.randn(8, 8).repeat(3, 1))

    def forward(self, x):
        queries, keys, values = self.projection(x).chunk(3, -1)
        return self.head((queries @ keys.T).softmax(-1) @ values)


class TableOfOneRow(nn.Module):
    """An embedding whose rows are all one draw: no token differs from another."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(12, 8)
        self.embedding.weight.data.copy_(torch.randn(8).expand(12, 8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.embedding(x.argmax(1)))


class BufferOfGarbage(nn.Module):
    """Running statistics that are allocated, and updated by a moving average."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, CLASSES)
        self.register_buffer("mean", torch.empty(8))

    def forward(self, x):
        self.mean.lerp_(x.mean(0), 0.1)
        return self.head(x - self.mean)


class WrittenByHalf(nn.Module):
    """A loop over the heads that stops one short, so the last head is not set."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, CLASSES, 8))
        for head in range(3):
            nn.init.xavier_uniform_(self.weight[head])

    def forward(self, x):
        return torch.einsum("hoi,ni->no", self.weight, x)


class ResizedInPlace(nn.Module):
    """A vocabulary that grows by resize_: the new rows hold what was in memory."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.embedding.weight = nn.Parameter(self.embedding.weight.data.resize_(14, 8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.embedding(x.argmax(1)))


class EmptyOfNumpy(nn.Module):
    """A weight that is allocated by numpy, and not set."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(np.empty((CLASSES, 8), dtype=np.float32)))

    def forward(self, x):
        return x @ self.weight.T


class ZeroGateAndZeroNorm(nn.Module):
    """A gate at zero before a norm whose gain is zero: two zeros in series."""

    def __init__(self):
        super().__init__()
        self.branch, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)
        self.gate = nn.Parameter(torch.zeros(8))
        self.head = nn.Linear(8, CLASSES)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x):
        return self.head(x + self.gate * self.norm(self.branch(x)))


class SaturatedGate(nn.Module):
    """A sigmoid whose bias is so large that its gradient is exactly zero in float32."""

    def __init__(self):
        super().__init__()
        self.gate, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)
        nn.init.constant_(self.gate.bias, 200.0)

    def forward(self, x):
        return self.head(x * self.gate(x).sigmoid())


class ParameterInAList(nn.Module):
    """Layers in a plain list: no optimizer sees them."""

    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(8, 8) for _ in range(2)]
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        for each in self.hidden:
            x = each(x).relu()
        return self.head(x)


class TiedByData(nn.Module):
    """A tie through .data, which a load_state_dict with assign, or a move, breaks."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 8)
        self.head = nn.Linear(8, CLASSES, bias=False)
        self.head.weight = nn.Parameter(self.embedding.weight.detach().clone())

    def forward(self, x):
        return self.head(x + self.embedding(x.argmax(1) % CLASSES))
