"""What claims that are not green name more often than others: an optimizer, a layer, a start."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from initcheck.report.formatting import counted
from initcheck.results import ClaimResult

#: What a claim's sentence may name, and a change may concern.
TERMS = (
    "SGD", "momentum", "Nesterov", "Adam", "AdamW", "RMSprop", "Adagrad", "Muon", "weight decay",
    "ReLU", "ELU", "GELU", "tanh", "sigmoid", "transformer", "attention", "convolution",
    "embedding", "LSTM", "LoRA", "dropout", "batch norm", "LayerNorm", "RMSNorm", "float64",
    "bfloat16", "He", "Glorot", "LeCun", "orthogonal", "Hadamard", "identity", "bias",
)  # fmt: skip
FEWEST = 3  # red claims, and green ones, that make a comparison
LEAST = 0.2  # correlation between naming the term and being red; weaker ones may be chance
SHOWN = 3


class Share(NamedTuple):
    """How many claims that name a term are red, and how many of the others."""

    term: str
    red: int
    of: int
    other_red: int
    other_of: int

    @property
    def correlation(self) -> float:
        """The phi coefficient, as of any table of two by two; 0 if a row or a column is empty."""
        red, of = self.red + self.other_red, self.of + self.other_of
        spread = self.of * self.other_of * red * (of - red)
        return (self.red * of - red * self.of) / math.sqrt(spread) if spread else 0.0


def named(results: Sequence[ClaimResult]) -> str:
    """A sentence for each of the terms that red claims name clearly more often; or nothing."""
    judged = [(result.statement, result.verdict != "pass") for result in results]
    red = sum(each for _, each in judged)
    if min(red, len(judged) - red) < FEWEST:
        return ""
    shares = sorted((_share(term, judged) for term in TERMS), key=lambda each: -each.correlation)
    clear = [each for each in shares[:SHOWN] if each.correlation >= LEAST and each.red >= FEWEST]
    return " ".join(
        f"Of {counted(each.of, 'claim')} whose sentence names {_shown(each.term)}, {each.red} "
        f"{'is' if each.red == 1 else 'are'} not green; of the {each.other_of} others, "
        f"{each.other_red or 'none'}."
        for each in clear
    )


def _share(term: str, judged: Sequence[tuple[str, bool]]) -> Share:
    flags = re.IGNORECASE if term.islower() else 0
    pattern = re.compile(rf"\b{term}(e?s)?\b", flags)
    naming = [red for statement, red in judged if pattern.search(statement)]
    others = [red for statement, red in judged if not pattern.search(statement)]
    return Share(term, sum(naming), len(naming), sum(others), len(others))


def _shown(term: str) -> str:
    return "a bias" if term == "bias" else term
