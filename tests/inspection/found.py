"""`python -m tests.inspection.found`: what the faults of docs/found.md do to training.

The task: eight tokens, each of one of four classes; the label is the class of the one token with a
flag. A sum over tokens that is linear in each cannot tell which one that is, so attention must.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

TOKENS, WIDTH, CLASSES = 8, 16, 4
SEEDS, BATCH, TESTED = 8, 64, 2000


def sequences(generator: torch.Generator, count: int = BATCH) -> tuple[Tensor, Tensor]:
    """Sequences (count, tokens, width) and labels (count,)."""
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    flagged = torch.randint(0, TOKENS, (count,), generator=generator)
    classes = torch.randint(0, CLASSES, (count, TOKENS), generator=generator)
    classes[torch.arange(count), flagged] = labels
    inputs = 0.5 * torch.randn(count, TOKENS, WIDTH, generator=generator)
    inputs[..., :CLASSES] += 2 * nn.functional.one_hot(classes, CLASSES)
    inputs[torch.arange(count), flagged, CLASSES] += 3
    return inputs, labels


class Attention(nn.Module):
    """One layer of attention, averaged over tokens, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))


def deferred() -> nn.Module:
    """Built on meta, allocated in memory of zeros, and reset part by part."""
    with torch.device("meta"):
        module = Attention()
    module.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()  # what an allocator often hands out; else it is anything
    for part in module.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    return module


class Encoder(nn.Module):
    """Torch's encoder of several layers, averaged over tokens, and a head."""

    def __init__(self, layers: int, *, separate: bool) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(_layer(), layers, enable_nested_tensor=False)
        if separate:
            self.encoder.layers = nn.ModuleList(_layer() for _ in range(layers))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x).mean(1))


def _layer() -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, 2, 2 * WIDTH, dropout=0.0, batch_first=True)


def accuracies(build: Callable[[], nn.Module], *, steps: int, rate: float) -> Tensor:
    """The share of right answers after training with Adam, for each seed."""
    shares = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        module, generator = build(), torch.Generator().manual_seed(1000 + seed)
        optimizer = torch.optim.Adam(module.parameters(), lr=rate)
        for _ in range(steps):
            inputs, labels = sequences(generator)
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs), labels).backward()
            optimizer.step()
        inputs, labels = sequences(torch.Generator().manual_seed(5), TESTED)
        with torch.no_grad():
            shares.append((module.eval()(inputs).argmax(1) == labels).float().mean())
    return torch.stack(shares)


def main() -> None:
    """Print mean, least and greatest accuracy of each arm."""
    torch.set_num_threads(1)
    arms: dict[str, tuple[Callable[[], nn.Module], int, float]] = {
        "attention, built as usual": (Attention, 400, 1e-2),
        "attention, built on meta": (deferred, 400, 1e-2),
    }
    for layers in (3, 6):
        for separate in (False, True):
            name = f"{layers} layers, {'drawn one by one' if separate else 'copies'}"
            arms[name] = lambda n=layers, s=separate: Encoder(n, separate=s), 150, 3e-3
    for name, (build, steps, rate) in arms.items():
        shares = accuracies(build, steps=steps, rate=rate)
        print(f"{name}: {shares.mean():.3f}, {shares.min():.3f} to {shares.max():.3f}", flush=True)


if __name__ == "__main__":
    main()
