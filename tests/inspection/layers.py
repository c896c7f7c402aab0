"""Torch's own layers one by one, each with the inputs of one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_ROWS, _TIME = (4, 8), (5, 3, 4)


def noise(*shape: int) -> Tensor:
    """Normal numbers from a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(11))


def numbers(*shape: int, below: int) -> Tensor:
    """Whole numbers from a fixed seed."""
    return torch.randint(1, below, shape, generator=torch.Generator().manual_seed(11))


def _encoder(kind: str) -> nn.Module:
    layer = getattr(nn, f"{kind}Layer")(8, 2, 16)
    return getattr(nn, kind)(layer, 3)


#: By name: what builds it, and what it is called with.
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...]]] = {
    "Linear": (lambda: nn.Linear(8, 5), (noise(*_ROWS),)),
    "Bilinear": (lambda: nn.Bilinear(8, 4, 5), (noise(*_ROWS), noise(4, 4))),
    "Embedding": (lambda: nn.Embedding(12, 8, padding_idx=0), (numbers(4, 3, below=12),)),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(12, 8), (numbers(4, 3, below=12),)),
    "Conv1d": (lambda: nn.Conv1d(3, 6, 3), (noise(2, 3, 9),)),
    "Conv2d": (lambda: nn.Conv2d(3, 6, 3, groups=3), (noise(2, 3, 9, 9),)),
    "Conv3d": (lambda: nn.Conv3d(3, 6, 3), (noise(2, 3, 5, 5, 5),)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(3, 6, 3), (noise(2, 3, 9),)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), (noise(2, 4, 9, 9),)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(3, 6, 3), (noise(2, 3, 5, 5, 5),)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), (noise(4, 6),)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(6), (noise(2, 6, 5, 5),)),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(6), (noise(2, 6, 3, 3, 3),)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 6), (noise(2, 6, 5),)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(6, affine=True), (noise(2, 6, 5),)),
    "LayerNorm": (lambda: nn.LayerNorm(6), (noise(4, 6),)),
    "RMSNorm": (lambda: nn.RMSNorm(6), (noise(4, 6),)),
    "PReLU": (lambda: nn.PReLU(4), (noise(4, 4),)),
    "RNN": (lambda: nn.RNN(4, 6), (noise(*_TIME),)),
    "LSTM": (lambda: nn.LSTM(4, 6, proj_size=3, num_layers=2), (noise(*_TIME),)),
    "LSTM in both directions": (lambda: nn.LSTM(4, 6, bidirectional=True), (noise(*_TIME),)),
    "GRU": (lambda: nn.GRU(4, 6), (noise(*_TIME),)),
    "RNNCell": (lambda: nn.RNNCell(4, 6), (noise(3, 4),)),
    "LSTMCell": (lambda: nn.LSTMCell(4, 6), (noise(3, 4),)),
    "GRUCell": (lambda: nn.GRUCell(4, 6), (noise(3, 4), noise(3, 6))),
    "MultiheadAttention": (
        lambda: nn.MultiheadAttention(8, 2, kdim=4),
        (noise(5, 3, 8), noise(6, 3, 4), noise(6, 3, 8)),
    ),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16), (noise(5, 3, 8),),
    ),
    "TransformerDecoderLayer": (
        lambda: nn.TransformerDecoderLayer(8, 2, 16), (noise(5, 3, 8), noise(6, 3, 8)),
    ),
    "Transformer": (
        lambda: nn.Transformer(8, 2, 1, 1, 16), (noise(5, 3, 8), noise(6, 3, 8)),
    ),
    "AdaptiveLogSoftmaxWithLoss": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10]),
        (noise(64, 8), torch.arange(64) % 20),
    ),
}  # fmt: skip

#: Layers in which something is wrong.
KNOWN: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...]]] = {
    "TransformerEncoder": (lambda: _encoder("TransformerEncoder"), (noise(5, 3, 8),)),
    "TransformerDecoder": (
        lambda: _encoder("TransformerDecoder"), (noise(5, 3, 8), noise(6, 3, 8)),
    ),
}  # fmt: skip


def weighted(module: nn.Module, inputs: tuple[Any, ...]) -> Tensor:
    """The sum of the first output, weighted by fixed random numbers."""
    output = module(*inputs)
    output = output[0] if isinstance(output, tuple) else output
    return (output * noise(*output.shape)).sum()
