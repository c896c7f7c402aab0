"""Modules that define another gradient on purpose, or look odd on a batch, and are right."""

from __future__ import annotations

import torch
from torch import nn

from tests.inspection.faulty import CLASSES


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -grad


class _Sign(torch.autograd.Function):
    """A sign with a straight-through gradient inside [-1, 1]."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1)


class _LowerBound(torch.autograd.Function):
    """A maximum that lets gradients pass towards the bound."""

    @staticmethod
    def forward(ctx, x, bound):
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * ((x >= ctx.bound) | (grad < 0)), None


class _Swish(torch.autograd.Function):
    """A correct backward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return grad * s * (1 + x * (1 - s))


class Between(nn.Module):
    """Two layers with a function between them."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.function(self.inner(x)))


def _straight_through(x):
    return x + (x.round() - x).detach()


FUNCTIONS = {
    "reversed": _Reversed.apply,
    "sign": _Sign.apply,
    "lower bound": lambda x: _LowerBound.apply(x, 0.0),
    "swish": _Swish.apply,
    "straight through": _straight_through,
    "detached": lambda x: x * x.detach(),
    "gumbel": lambda x: nn.functional.gumbel_softmax(x, hard=True),
    "data": lambda x: x * x.tanh().data,
    "a number": lambda x: x / x.square().mean().item(),
    "quantized": lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127),
    "dropout": nn.functional.dropout,
    "softmax": lambda x: x.softmax(-1),
    "largest": lambda x: x * (x == x.max(-1, keepdim=True).values),
}


class Spectral(nn.Module):
    """Power iteration under no_grad, which changes buffers at each call."""

    def __init__(self):
        super().__init__()
        self.inner = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.inner(x).tanh())


def bias_before_norm():
    return nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, CLASSES))


class TransposedDropout(nn.Module):
    """Dropout on a tensor whose entries are in another order in memory."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        hidden = nn.functional.dropout(self.inner(x).T, 0.5)
        return self.head(hidden.T.tanh())


class DrawsIndices(nn.Module):
    """Whole random numbers in the forward pass: an order and steps of a diffusion."""

    def __init__(self):
        super().__init__()
        self.steps, self.head = nn.Embedding(50, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        steps = torch.randint(0, 50, (len(x),))
        noise = torch.randint(-1, 2, x.shape, dtype=x.dtype)
        return self.head((x + self.steps(steps) + noise)[torch.randperm(len(x))])


def double():
    """In float64, so that nothing has to be rounded to float32."""
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, CLASSES)).double()


def hooked(hook):
    """A module whose own hook changes the gradient of one weight."""
    module = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    module[0].weight.register_hook(hook)
    return module


class Padded(nn.Module):
    """Tokens of which one is padding: its row gets no gradient, by design."""

    def __init__(self, *, tied=False):
        super().__init__()
        self.table = nn.Embedding(20, 8, padding_idx=0)
        self.head = nn.Linear(8, 20, bias=False)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, tokens):
        return self.head(self.table(tokens).mean(1).tanh())


def tokens():
    found = torch.randint(1, 20, (8, 5))
    found[:, 3:] = 0
    return found, torch.randint(0, 20, (8,))


class ComplexView(nn.Module):
    """A real parameter that is used as complex numbers, and their conjugates."""

    def __init__(self):
        super().__init__()
        self.pairs = nn.Parameter(torch.randn(8, 2))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        turned = torch.view_as_complex(self.pairs)
        mixed = (x + 1j) * turned.conj()
        return self.head(torch.cat([mixed.real, mixed.imag + turned.conj().imag], -1))


def dirac():
    """Zeros reach the second ReLU exactly, so the module starts at a kink."""
    middle = nn.Linear(8, 8, bias=False)
    nn.init.eye_(middle.weight)
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), middle, nn.ReLU(), nn.Linear(8, CLASSES))


class Cosines(nn.Module):
    """A head whose logits are cosines times 64, with a margin, as in ArcFace."""

    def __init__(self, scale=64.0):
        super().__init__()
        self.inner = nn.Linear(8, 16)
        self.centres = nn.Parameter(torch.randn(CLASSES, 16))
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x, labels=None):
        directions = nn.functional.normalize(self.inner(x), dim=-1)
        cosines = nn.functional.linear(directions, nn.functional.normalize(self.centres, dim=-1))
        logits = self.scale * cosines
        if labels is None:
            return logits
        angles = cosines.clamp(-0.999, 0.999).arccos()
        margin = 0.5 * nn.functional.one_hot(labels, CLASSES)
        return {"loss": nn.functional.cross_entropy(self.scale * (angles + margin).cos(), labels)}


class Quantized(nn.Module):
    """An autoencoder with a table of codes, whose latents are far from zero at the start."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(8, 4), nn.Linear(4, 8)
        self.codes = nn.Parameter(torch.randn(6, 4) / 100)
        nn.init.constant_(self.encoder.bias, 9.0)

    def forward(self, x):
        latent = self.encoder(x)
        code = self.codes[torch.cdist(latent, self.codes).argmin(-1)]
        latents = nn.functional.mse_loss(latent, code.detach())
        codes = nn.functional.mse_loss(code, latent.detach())
        pictures = nn.functional.mse_loss(self.decoder(latent + (code - latent).detach()), x)
        return {"loss": pictures + latents + codes}


class Twins(nn.Module):
    """Two sides of one encoder: the first is to predict the second, as in BYOL."""

    def __init__(self):
        super().__init__()
        self.encoder, self.predictor = nn.Linear(8, 8), nn.Linear(8, 8)
        self.unused = nn.Linear(8, 8)
        nn.init.constant_(self.predictor.bias, 99.0)

    def forward(self, x):
        with torch.no_grad():
            target = self.encoder(x.flip(0))
        loss = nn.functional.mse_loss(self.predictor(self.encoder(x)), target)
        return {"loss": loss + self.unused(x).mean()}
