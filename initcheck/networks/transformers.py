"""Transformers as users write them: blocks before or after whose branches a norm stands.

They read the text `names` (a GPT, which answers at every token) or the 28 rows of a digit (one
answer). Equal calls return the same network, so that equal arms are trained once.
Letters: B batch, T tokens, D width of the stream, H heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.networks.network import ACTIVATIONS, SIDE, Network

SYMBOLS, WINDOW = 39, 32  # of the text `names`

NORMS: dict[str, Callable[..., nn.Module]] = {
    "layer": nn.LayerNorm,
    "rms": partial(nn.RMSNorm, eps=1e-5),
    "none": nn.Identity,
}


@dataclass(frozen=True)
class Plan:
    """How the blocks of a transformer are built.

    Attributes:
        depth: blocks, each with attention and a perceptron (two branches), or one branch.
        width: of the stream, D.
        heads: of attention; 0 for blocks of a perceptron only.
        norm: a name in ``NORMS``.
        gains: whether norms have gains (and LayerNorm shifts).
        after: whether the norm follows the sum, as in the first transformers (post-LN). Otherwise
            it is at the start of the branch, and one more is before the head (pre-LN).
        skip: factor of the stream in the sum; 0 for no residual connection.
        branch: factor of the branch in the sum.
        activation: of the perceptrons.
        tied: whether the head's matrix is the table of tokens.
    """

    depth: int = 2
    width: int = 32
    heads: int = 4
    norm: str = "layer"
    gains: bool = True
    after: bool = False
    skip: float = 1.0
    branch: float = 1.0
    activation: str = "gelu"
    tied: bool = False

    def new_norm(self) -> nn.Module:
        """A norm of the stream."""
        return NORMS[self.norm](self.width, elementwise_affine=self.gains)

    def __str__(self) -> str:
        """The plan in words, without what is usual."""
        kind = {"layer": "LN", "rms": "RMS norm", "none": "no norm"}[self.norm]
        norm = kind if self.norm == "none" else f"{'post' if self.after else 'pre'}-{kind}"
        unusual = [
            (self.heads == 0, "perceptrons only"),
            (not self.gains, "no gains"),
            (self.skip == 0, "no skips"),
            (self.skip not in (0, 1), f"skips x {self.skip:.4g}"),
            (self.branch != 1, f"branches x {self.branch:.4g}"),
            (self.activation != "gelu", self.activation),
            (self.tied, "tied head"),
        ]
        blocks = f"{self.depth} block{'s' * (self.depth > 1)}"
        words = [norm, blocks, f"width {self.width}", *(text for holds, text in unusual if holds)]
        return ", ".join(words)


# --- parts ----------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Self-attention with separate projections, ``(B, T, D)`` to ``(B, T, D)``."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.project = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens; ``causal``: each with itself and those before it."""
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(-3, -2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        projected: Tensor = self.project(mixed.transpose(-3, -2).flatten(-2))  # (B, T, D)
        return projected


class Perceptron(nn.Module):
    """Two layers with four times as many hidden units, ``(..., D)`` to ``(..., D)``."""

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 4 * width, bias=False)
        self.act = ACTIVATIONS[activation]()
        self.project = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map each token by itself."""
        projected: Tensor = self.project(self.act(self.expand(x)))
        return projected


class Residual(nn.Module):
    """A branch and the stream around it: ``norm(skip x + branch f(x))``, or with ``f(norm(x))``."""

    def __init__(self, plan: Plan, inner: nn.Module) -> None:
        super().__init__()
        self.after, self.skip, self.branch = plan.after, plan.skip, plan.branch
        self.norm = plan.new_norm()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the stream."""
        added = self.branch * self.inner(x if self.after else self.norm(x))
        total: Tensor = self.skip * x + added if self.skip else added
        return self.norm(total) if self.after else total


def blocks(plan: Plan, *, causal: bool) -> nn.Sequential:
    """All branches of a transformer in order, and the last norm if norms are before branches."""
    parts: list[nn.Module] = []
    for _ in range(plan.depth):
        if plan.heads:
            parts.append(Residual(plan, Attention(plan.width, plan.heads, causal=causal)))
        parts.append(Residual(plan, Perceptron(plan.width, plan.activation)))
    return nn.Sequential(*parts, *([] if plan.after else [plan.new_norm()]))


# --- whole networks -------------------------------------------------------------------------------


class Reader(nn.Module):
    """A GPT: tokens ``(B, T)`` int64 to logits ``(B, T, symbols)`` of the next token."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.tokens = nn.Embedding(SYMBOLS, plan.width)
        self.positions = nn.Embedding(WINDOW, plan.width)
        self.blocks = blocks(plan, causal=True)
        self.head = None if plan.tied else nn.Linear(plan.width, SYMBOLS)

    def forward(self, x: Tensor) -> Tensor:
        """Predict each next token from those up to it."""
        stream = self.blocks(self.tokens(x) + self.positions.weight)
        logits: Tensor = (
            F.linear(stream, self.tokens.weight) if self.head is None else self.head(stream)
        )
        return logits


class RowReader(nn.Module):
    """A transformer on the rows of a digit: ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.rows = nn.Linear(SIDE, plan.width)
        self.positions = nn.Embedding(SIDE, plan.width)
        self.blocks = blocks(plan, causal=False)
        self.head = nn.Linear(plan.width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify the mean of all rows."""
        stream = self.blocks(self.rows(x.flatten(1, 2)) + self.positions.weight)
        logits: Tensor = self.head(stream.mean(-2))
        return logits


@cache
def gpt(plan: Plan) -> Network:
    """A transformer on the text `names`."""
    return Network(f"GPT ({plan})", partial(Reader, plan))


@cache
def rows(plan: Plan) -> Network:
    """A transformer on the rows of digits."""
    return Network(f"transformer on rows ({plan})", partial(RowReader, plan))
