"""What claims that are not green name more often than others: an optimizer, a layer, a start."""

from __future__ import annotations

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
RARE = 0.001  # of a table of two by two, by chance; so all the terms together in 3 % of runs
SHOWN = 3


class Share(NamedTuple):
    """How many claims that name a term are red, and how many of the others."""

    term: str
    red: int
    of: int
    other_red: int
    other_of: int

    @property
    def chance(self) -> float:
        """With what probability so many of the red claims name the term: Fisher's exact test."""
        from scipy.stats import fisher_exact

        others = [self.other_red, self.other_of - self.other_red]
        table = [[self.red, self.of - self.red], others]
        return float(fisher_exact(table, alternative="greater").pvalue)


def named(results: Sequence[ClaimResult]) -> str:
    """A sentence for each of the terms that red claims name clearly more often; or nothing."""
    judged = [(result.statement, result.verdict != "pass") for result in results]
    if not 0 < sum(red for _, red in judged) < len(judged):
        return ""
    shares = sorted((_share(term, judged) for term in TERMS), key=lambda each: each.chance)
    clear = [each for each in shares[:SHOWN] if each.chance < RARE]
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
