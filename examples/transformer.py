"""A small language model: AdamW, warm-up and cosine, clipped and accumulated gradients.

It is a decoder with a norm before each part, and its output shares the token embedding's weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

TOKENS, CONTEXT = 48, 24
WIDTH, HEADS, BLOCKS = 32, 2, 2
BATCH, PARTS = 8, 2  # sequences of a part; parts whose gradients make one step
LR, DECAY, WARM_UP, TOTAL = 3e-3, 0.1, 4, 100  # the last two in steps
NOISE = 0.1  # share of tokens that follow no rule


class Block(nn.Module):
    """Attention to earlier positions, then two layers for each position."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        """From ``(B, T, W)`` to the same shape."""
        heads = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1))  # (B, T, 3, H, W / H)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # each (B, H, T, W / H)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class Decoder(nn.Module):
    """Predicts each next token."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(TOKENS, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, TOKENS, bias=False)
        self.head.weight = self.tokens.weight  # the tie

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``(B, T, TOKENS)`` of the tokens that follow ``(B, T)`` tokens."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.norm(self.blocks(self.tokens(tokens) + self.positions(places))))


def sequences(generator: torch.Generator) -> Iterator[Tensor]:
    """Batches ``(B, T + 1)`` of tokens that mostly follow a fixed rule."""
    follower = torch.randperm(TOKENS, generator=generator)
    while True:
        columns = [torch.randint(TOKENS, (BATCH,), generator=generator)]
        for _ in range(CONTEXT):
            other = torch.randint(TOKENS, (BATCH,), generator=generator)
            lost = torch.rand(BATCH, generator=generator) < NOISE
            columns.append(torch.where(lost, other, follower[columns[-1]]))
        yield torch.stack(columns, 1)


def schedule(step: int) -> float:
    """The learning rate's factor: it rises over ``WARM_UP`` steps, then falls as a cosine."""
    rest = max(0.0, (step - WARM_UP) / (TOTAL - WARM_UP))
    return min((step + 1) / WARM_UP, 0.5 * (1 + math.cos(math.pi * rest)))


def training(
    seed: int, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Iterator[object]:
    """The model with its optimizer, then the loss of each step."""
    torch.manual_seed(seed)
    model = Decoder().to(device, dtype)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    data = sequences(torch.Generator().manual_seed(seed))
    yield model, optimizer
    for _ in range(TOTAL):
        total = 0.0
        for _ in range(PARTS):
            batch = next(data).to(device)
            logits = model(batch[:, :-1])
            loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()) / PARTS
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        yield total
