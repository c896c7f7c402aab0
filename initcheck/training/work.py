"""What both engines take and give back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from initcheck.arms import Recipe
from initcheck.datasets import DataSet
from initcheck.networks import NetworkError


class Jitter(Protocol):
    """What disturbs the twins of the rounding envelope, at every step."""

    def parameters(self, leaves: Sequence[Tensor]) -> None:
        """Disturb the parameters in place, before the forward pass."""

    def shares(self, shares: Tensor) -> Tensor:
        """What each image of a batch counts for in the gradient, disturbed."""


@dataclass(frozen=True)
class Work:
    """One chunk of replicas to train: R starts on one device, and what each will see.

    Attributes:
        batches: ``(R, steps, B)`` int64, on the device: which images each step sees.
        seeds: one a replica, for the random numbers that its network draws in training.
        jitter: disturbs every step (the twins of the rounding envelope).
        progress: called with the number of replica-steps just done.
    """

    recipe: Recipe
    data: DataSet
    batches: Tensor
    device: str
    seeds: Sequence[int]
    jitter: Jitter | None = None
    progress: Callable[[int], None] = lambda done: None


@dataclass
class Outcome:
    """R trained replicas: every tensor has the replicas in front."""

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    losses: Tensor  # (R, steps), the training loss before each step
    kept: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    engine: str = ""


@dataclass(frozen=True)
class Stack:
    """R replicas of one network, as an engine trains them at once.

    Attributes:
        engine: what the results file calls it.
        leaves: what the optimizer holds, contiguous, in whatever shape is fastest.
        forward: from inputs ``(R, B, ...)`` to logits ``(R, B, classes)``.
        names: of the parameters, as the module has them.
        read: a copy of a parameter by name, ``(R, ...)``.
        buffers: by name, ``(R, ...)``, updated by ``forward``.
    """

    engine: str
    leaves: list[Tensor]
    forward: Callable[[Tensor], Tensor]
    names: list[str]
    read: Callable[[str], Tensor]
    buffers: dict[str, Tensor] = field(default_factory=dict)


PROGRESS_EVERY = 10  # steps: often enough to see it move, seldom enough to cost nothing


def check_logits(logits: object, batch: int, classes: int) -> None:
    """Refuse a network whose output cannot be logits of this data set.

    Raises:
        NetworkError: naming the shape it has and the one it must have.
    """
    if not isinstance(logits, Tensor):
        raise NetworkError(
            f"the network returned a {type(logits).__name__}; it must return logits, a tensor of "
            f"shape ({batch}, {classes}). Return the logits alone."
        )
    if tuple(logits.shape) != (batch, classes):
        raise NetworkError(
            f"the network returned shape {tuple(logits.shape)} for a batch of {batch}; "
            f"it must return logits of shape ({batch}, {classes}). Mend its last layer."
        )


def join(outcomes: Sequence[Outcome]) -> Outcome:
    """The chunks of one arm as one, in order."""
    if len(outcomes) == 1:
        return outcomes[0]
    kept = {step: _join([outcome.kept[step] for outcome in outcomes]) for step in outcomes[0].kept}
    return Outcome(
        parameters=_join([outcome.parameters for outcome in outcomes]),
        buffers=_join([outcome.buffers for outcome in outcomes]),
        losses=torch.cat([outcome.losses for outcome in outcomes]),
        kept=kept,
        engine=outcomes[0].engine,
    )


def _join(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
