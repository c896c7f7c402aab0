"""One assumption of claims, and the fault that takes it away."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One assumption that claims share.

    Attributes:
        assumed: what holds in the treated arm of these claims, as a sentence.
        fault: the name of a fault under which it does not hold.
        claims: the claims, without parameters, whose limits this fault must refute, with every set
            of parameters.
    """

    assumed: str
    fault: str
    claims: tuple[str, ...]
