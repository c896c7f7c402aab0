"""First random numbers of torch's functions, by which releases are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

SEED = 20  # of every draw
SHOWN = 6  # numbers of each draw that are kept, to tell rounding from another draw
#: Two draws of the same numbers: they may differ in the last digits of a logarithm or a cosine.
TOLERANCE = 1e-4
SHAPE = (24, 16)

#: Functions of `torch.nn.init` and how they are called; each fills a tensor of SHAPE.
INIT: dict[str, dict[str, Any]] = {
    "uniform_": {"a": -1.0, "b": 1.0},
    "normal_": {"mean": 0.0, "std": 1.0},
    "trunc_normal_": {"std": 1.0},
    "xavier_uniform_": {},
    "xavier_normal_": {},
    "kaiming_uniform_": {},
    "kaiming_normal_": {"nonlinearity": "relu"},
    "orthogonal_": {},
    "sparse_": {"sparsity": 0.5},
}
#: Layers whose constructors draw their start.
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "Linear": lambda: nn.Linear(16, 24),
    "Bilinear": lambda: nn.Bilinear(4, 5, 6),
    "Conv2d": lambda: nn.Conv2d(4, 6, 3),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(4, 6, 3),
    "Embedding": lambda: nn.Embedding(9, 16),
    "LSTM": lambda: nn.LSTM(8, 8),
    "GRU": lambda: nn.GRU(8, 8),
    "MultiheadAttention": lambda: nn.MultiheadAttention(16, 2),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(16, 2, 32),
}
#: Functions that draw while a network trains; each changes a tensor of ones.
DURING: dict[str, Callable[[Tensor], Tensor]] = {
    "dropout": lambda ones: nn.functional.dropout(ones, 0.1),
    "dropout in bfloat16": lambda ones: nn.functional.dropout(ones.bfloat16(), 0.1),
    "alpha_dropout": lambda ones: nn.functional.alpha_dropout(ones, 0.1, training=True),
    "gumbel_softmax": nn.functional.gumbel_softmax,
}


def _functions(generator: torch.Generator) -> dict[str, Callable[[], Tensor]]:
    """Draws with an explicit generator, small and large: some sizes have vectorized code."""
    some, weights = torch.empty(8), torch.arange(1.0, 9.0)
    return {
        "rand of 8": lambda: torch.rand(8, generator=generator),
        "rand of 4096": lambda: torch.rand(4096, generator=generator),
        "rand in float64": lambda: torch.rand(64, generator=generator, dtype=torch.float64),
        "randn of 8": lambda: torch.randn(8, generator=generator),
        "randn of 4096": lambda: torch.randn(4096, generator=generator),
        "randn in float64": lambda: torch.randn(64, generator=generator, dtype=torch.float64),
        "randn in bfloat16": lambda: torch.randn(64, generator=generator, dtype=torch.bfloat16),
        "randint": lambda: torch.randint(1000, (64,), generator=generator),
        "randint below 2**40": lambda: torch.randint(2**40, (64,), generator=generator),
        "randperm of 100": lambda: torch.randperm(100, generator=generator),
        "randperm of 5000": lambda: torch.randperm(5000, generator=generator),
        "bernoulli": lambda: torch.bernoulli(torch.full((64,), 0.3), generator=generator),
        "bernoulli_ of one probability": lambda: torch.empty(4096).bernoulli_(
            0.9, generator=generator
        ),
        "multinomial": lambda: torch.multinomial(weights, 64, True, generator=generator),
        "multinomial without replacement": lambda: torch.multinomial(
            weights, 8, generator=generator
        ),
        "exponential_": lambda: some.clone().exponential_(generator=generator),
        "geometric_": lambda: some.clone().geometric_(0.3, generator=generator),
        "cauchy_": lambda: some.clone().cauchy_(generator=generator),
        "log_normal_": lambda: some.clone().log_normal_(generator=generator),
        "poisson": lambda: torch.poisson(weights, generator=generator),
    }


def draws() -> dict[str, Callable[[], Tensor]]:
    """Every draw by name; each returns the tensor that it drew from its own seed."""
    found = {name: _drawn(name) for name in _functions(torch.Generator())}
    found |= {f"init.{name}": _initialized(name, how) for name, how in INIT.items()}
    found |= {f"nn.{name}": _built(build) for name, build in LAYERS.items()}
    return found | {f"functional.{name}": _during(change) for name, change in DURING.items()}


def _drawn(name: str) -> Callable[[], Tensor]:
    def draw() -> Tensor:
        generator = torch.Generator().manual_seed(SEED)  # a new one for each call
        return _functions(generator)[name]()

    return draw


def _initialized(name: str, how: dict[str, Any]) -> Callable[[], Tensor]:
    def draw() -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            tensor: Tensor = getattr(nn.init, name)(torch.empty(*SHAPE), **how)
            return tensor

    return draw


def _built(build: Callable[[], nn.Module]) -> Callable[[], Tensor]:
    def draw() -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return torch.cat([each.detach().flatten() for each in build().parameters()])

    return draw


def _during(change: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
    def draw() -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return change(torch.ones(64, 64))

    return draw


def streams() -> dict[str, dict[str, Any]]:
    """By draw: a digest of its bits and its last numbers; or the error, if it cannot be drawn."""
    found: dict[str, dict[str, Any]] = {}
    for name, draw in draws().items():
        try:
            found[name] = summary(draw())
        except Exception as error:  # noqa: BLE001 -- an older torch may lack it, in any way
            found[name] = {"error": f"{type(error).__name__}: {error}"[:200]}
    return found


def summary(tensor: Tensor) -> dict[str, Any]:
    """A digest of the bits of a tensor, and its last numbers.

    The last ones, since a draw that differs somewhere continues from another state.
    """
    wide = tensor.detach().flatten().to(torch.float64)  # exact for all types that are drawn
    digest = hashlib.sha256(wide.numpy().tobytes()).hexdigest()[:16]
    return {"digest": digest, "last": wide[-SHOWN:].tolist()}


def change(old: dict[str, Any], new: dict[str, Any]) -> str:
    """How a draw differs from another: empty, ``rounding``, ``another draw`` or ``not there``."""
    if "error" in old or "error" in new:
        return "" if ("error" in old) == ("error" in new) else "not there"
    if old["digest"] == new["digest"]:
        return ""
    pairs = list(zip(old["last"], new["last"], strict=False))
    scale = max((abs(value) for pair in pairs for value in pair), default=0.0)
    close = all(abs(one - other) <= TOLERANCE * scale for one, other in pairs)
    return "rounding" if close and len(old["last"]) == len(new["last"]) else "another draw"
