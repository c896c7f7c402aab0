"""Modules whose fault shows on a batch: wrong backwards, wrong scales, and batches for them."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

import torch
from torch import nn

from tests.inspection.faulty import CLASSES


class _HalfGain(torch.autograd.Function):
    """A gain whose gradient sums half of the rows."""

    @staticmethod
    def forward(ctx, x, gain):
        ctx.save_for_backward(x, gain)
        return x * gain

    @staticmethod
    def backward(ctx, grad):
        x, gain = ctx.saved_tensors
        half = len(x) // 2
        return grad * gain, (grad * x)[:half].sum(0)


class _EluFromOutput(torch.autograd.Function):
    """ELU whose derivative takes the output for the input: exp(y) instead of y + 1."""

    @staticmethod
    def forward(ctx, x):
        y = nn.functional.elu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return torch.where(y > 0, grad, grad * y.exp())


class HalfGain(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)
        self.gain = nn.Parameter(torch.ones(8))

    def forward(self, x):
        normed = nn.functional.layer_norm(self.inner(x), (8,))
        return self.head(_HalfGain.apply(normed, self.gain))


class EluFromOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(_EluFromOutput.apply(self.inner(x)))


class _LossInFloat32(torch.autograd.Function):
    """A product whose backward forgets a factor, in float32 alone, as a kernel may."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        factor = 0.9 if grad.dtype == torch.float32 else 1.0
        return grad @ weight, factor * (grad.T @ x)


class WrongInFloat32(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, 8))

    def forward(self, x):
        return _LossInFloat32.apply(x, self.weight)


class WritesData(nn.Module):
    """Scales an activation where autograd does not see it."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        hidden = self.inner(x)
        hidden.data.mul_(2)
        return self.head(hidden.tanh())


@torch.library.custom_op("initcheck_tests::doubled", mutates_args=())
def _doubled(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


_doubled.register_autograd(lambda ctx, grad: grad)


class WrongCustomOperator(nn.Module):
    """An operator that was registered with a wrong backward."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(_doubled(self.inner(x)).tanh())


def constant_hidden_layer():
    module = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, CLASSES))
    nn.init.constant_(module[0].weight, 0.1)
    nn.init.zeros_(module[0].bias)
    return module


def growing():
    """Weights of N(0, 1), whatever the fan-in is."""
    parts = [nn.Linear(8, 64), *(nn.Linear(64, 64) for _ in range(14)), nn.Linear(64, CLASSES)]
    for part in parts:
        nn.init.normal_(part.weight)
    return nn.Sequential(*parts)


class TiedUnscaled(nn.Module):
    """Logits from a tied embedding of N(0, 1)."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES * 10, 256)

    def forward(self, x):
        return self.embedding(x).roll(1, 1) @ self.embedding.weight.T


def tokens():
    """Two sequences of tokens, which are their own targets."""
    drawn = torch.randint(0, CLASSES * 10, (2, 8), generator=torch.Generator().manual_seed(7))
    return drawn, drawn


class NegativeBranch(nn.Module):
    """A ReLU whose bias keeps every unit at zero, next to a path that works."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)
        nn.init.constant_(self.inner.bias, -100.0)
        self.inner.requires_grad_(requires_grad=False)

    def forward(self, x):
        return self.head(x + self.inner(x).relu())


class RouterOfOne(nn.Module):
    """The weight of the one chosen expert is divided by itself, so the router never learns."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(8, 4, bias=False)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        weight, chosen = self.router(x).softmax(-1).topk(1, -1)
        weight = weight / weight.sum(-1, keepdim=True)
        every = torch.stack([expert(x) for expert in self.experts], 1)
        one = every.gather(1, chosen[..., None].expand(-1, 1, 8))
        return self.head((one * weight[..., None]).sum(1))


class LosesDigits(nn.Module):
    """A variance as the difference of large numbers, of which float32 keeps no digit."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        hidden = self.head(x) + 1e5
        mean = hidden.mean(-1, keepdim=True)
        variance = hidden.square().mean(-1, keepdim=True) - mean.square()
        return (hidden - mean) / (variance.abs() + 1e-5).sqrt()
