"""Small networks that read an image as seven tokens of seven pixels, and what starts in them.

Letters: B batch, T tokens, D width.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.networks.network import Network

POOL, TOKENS, PIXELS = 4, 7, 7  # pixels averaged into one, a side; tokens; pixels of a token
WIDTH, HEADS, LAYERS = 16, 2, 3
WIDE = 64  # of the attention layer whose laws are judged


def tokens(images: Tensor) -> Tensor:
    """Images ``(B, 1, 28, 28)`` as the rows of a pooled image: ``(B, T, 7)``."""
    return F.avg_pool2d(images, POOL).squeeze(1)


# --- transformer encoders -------------------------------------------------------------------------


class Encoding(nn.Module):
    """Tokens through a transformer encoder of torch; logits from the mean of its states."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__()
        self.embedding = nn.Linear(PIXELS, WIDTH)
        self.encoder = _encoder(whole=whole)
        self.output = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""
        states = self.encoder(self.embedding(tokens(x)))  # (B, T, D)
        logits: Tensor = self.output(states.mean(1))
        return logits


def _encoder(*, whole: bool) -> nn.Module:
    """Torch's encoder, built alone or as the part of a whole ``nn.Transformer``."""
    sizes = {"dim_feedforward": 2 * WIDTH, "dropout": 0.0}
    if whole:
        whole_one = nn.Transformer(WIDTH, HEADS, LAYERS, 1, **sizes, batch_first=True)  # type: ignore[arg-type]
        return whole_one.get_submodule("encoder")
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, **sizes, batch_first=True)  # type: ignore[arg-type]
    return nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)


@cache  # equal calls give the same network, so that equal arms are trained once
def encoder(*, whole: bool = False) -> Network:
    """``nn.TransformerEncoder`` of three layers, alone or out of an ``nn.Transformer``."""
    name = "nn.Transformer" if whole else "nn.TransformerEncoder"
    return Network(f"{name}, {LAYERS} encoder layers", partial(Encoding, whole=whole))


# --- an attention layer ---------------------------------------------------------------------------


class Attending(nn.Module):
    """Tokens through one attention layer of torch; logits from the mean of its answers."""

    def __init__(self, keys: int) -> None:
        super().__init__()
        self.queries = nn.Linear(PIXELS, WIDE)
        self.keys = nn.Linear(PIXELS, keys)
        self.attention = nn.MultiheadAttention(WIDE, HEADS, kdim=keys, vdim=keys, batch_first=True)
        self.output = nn.Linear(WIDE, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""
        seen = tokens(x)
        keys = self.keys(seen)
        answers, _ = self.attention(self.queries(seen), keys, keys, need_weights=False)
        logits: Tensor = self.output(answers.mean(1))
        return logits


@cache  # equal calls give the same network, so that equal arms are trained once
def attention(keys: int = WIDE) -> Network:
    """``nn.MultiheadAttention`` of width 64; projections are packed if the keys are as wide."""
    packed = "packed" if keys == WIDE else "separate"
    return Network(
        f"nn.MultiheadAttention of width {WIDE}, {packed} projections", partial(Attending, keys)
    )


# --- recurrent layers -----------------------------------------------------------------------------


class Recurrent(nn.Module):
    """Tokens through a recurrent layer of torch; logits from its last output."""

    def __init__(self, cell: nn.RNNBase, outputs: int) -> None:
        super().__init__()
        self.cell = cell
        self.output = nn.Linear(outputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""
        outputs, _ = self.cell(tokens(x))
        logits: Tensor = self.output(outputs[:, -1])
        return logits


UNITS = 6  # a shifted identity is not the identity again after 100 steps


def _lstm() -> nn.Module:
    cell = nn.LSTM(PIXELS, UNITS, num_layers=2, bidirectional=True, batch_first=True)
    return Recurrent(cell, 2 * UNITS)


def _irnn() -> nn.Module:
    return Recurrent(nn.RNN(PIXELS, UNITS, nonlinearity="relu", batch_first=True), UNITS)


LSTM = Network(f"nn.LSTM of {UNITS} units, 2 layers in both directions", _lstm)
IRNN = Network(f"nn.RNN of {UNITS} ReLU units", _irnn)


# --- many kinds of layers -------------------------------------------------------------------------


class Various(nn.Module):
    """One of each of torch's layers with parameters, and by request one that sets none."""

    def __init__(self, more: str) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.batch_norm = nn.BatchNorm2d(4)
        self.group_norm = nn.GroupNorm(2, 4)
        self.slope = nn.PReLU()
        self.recurrent = nn.LSTM(4 * PIXELS, 8, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.place = nn.Embedding(TOKENS, 8)
        self.output = nn.Linear(8, 10)
        self.token = nn.Parameter(torch.zeros(8)) if more == "token" else None
        self.attention = (
            nn.MultiheadAttention(8, 2, batch_first=True) if more == "attention" else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""
        x = self.batch_norm(self.convolution(F.avg_pool2d(x, POOL)))  # (B, 4, 7, 7)
        x = self.slope(self.group_norm(x)).transpose(1, 2).flatten(2)  # (B, T, 28)
        x = self.norm(self.recurrent(x)[0]) + self.place.weight  # (B, T, 8)
        if self.attention is not None:
            x = self.attention(x, x, x, need_weights=False)[0]
        x = x.mean(1) if self.token is None else x.mean(1) + self.token
        logits: Tensor = self.output(x)
        return logits


@cache  # equal calls give the same network, so that equal arms are trained once
def various(more: str = "") -> Network:
    """A network of eight kinds of layers; ``more``: a ``token`` or ``attention`` in addition."""
    words = {"": "", "token": " and a class token", "attention": " and nn.MultiheadAttention"}
    return Network(f"eight kinds of torch's layers{words[more]}", partial(Various, more))


# --- an embedding with a padding row --------------------------------------------------------------

LEVELS, CODE = 16, 4  # grey levels, which are the tokens; numbers per token


class Padded(nn.Module):
    """Grey levels as tokens, black is padding; the output layer is zero after construction."""

    def __init__(self, *, padding: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(LEVELS, CODE, padding_idx=0 if padding else None)
        self.hidden = nn.Linear(CODE * TOKENS * PIXELS, 16)
        self.output = nn.Linear(16, 10)
        nn.init.zeros_(self.output.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""
        levels = (tokens(x).flatten(1) * (LEVELS - 1)).to(torch.int64)
        hidden = torch.relu(self.hidden(self.embedding(levels).flatten(1)))
        logits: Tensor = self.output(hidden)
        return logits


@cache  # equal calls give the same network, so that equal arms are trained once
def padded(*, padding: bool = True) -> Network:
    """An embedding of 16 grey levels, the first of which is padding or not, and a zero head."""
    kind = "with" if padding else "without"
    return Network(f"embedding {kind} a padding row, zero head", partial(Padded, padding=padding))
