"""The input and output of both engines: a chunk of work, and the trained replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.arms import Recipe
from initcheck.datasets import DataSet
from initcheck.networks import NetworkError


class Jitter(Protocol):
    """Disturbs the twins of the rounding envelope at every step."""

    def parameters(self, leaves: Sequence[Tensor]) -> None:
        """Disturb the parameters in place, before the forward pass."""

    def shares(self, shares: Tensor) -> Tensor:
        """A disturbed copy of the share of each image of a batch in the gradient."""


#: A few numbers that tell where each tensor of one replica went, by the tensor's name.
Ways = Mapping[str, Tensor]


class Watch(Protocol):
    """Follows the tensors of some replicas through training.

    It gets the parameters and buffers of all replicas of a chunk, ``{name: (R, ...)}`` in the
    module's layout. They are views, so they change with the next step.
    """

    def start(self, tensors: Callable[[], Mapping[str, Tensor]]) -> None:
        """See the tensors before the first step."""

    def after(self, step: int, tensors: Callable[[], Mapping[str, Tensor]]) -> None:
        """See the tensors after the update of a step."""

    def ways(self) -> tuple[Ways | None, ...]:
        """What was seen of each of the R replicas; None for one that was not followed."""


@dataclass(frozen=True)
class Work:
    """How to train a chunk of R replicas on one device.

    Attributes:
        batches: ``(R, steps, B)`` int64, on the device: the images (or texts) of each step.
        seeds: one per replica, for the random numbers that its network draws in training.
        jitter: disturbs every step (the twins of the rounding envelope).
        progress: called with the number of replica-steps done since the last call.
        watch: gives a watch for those of the R replicas that an engine trains together.
    """

    recipe: Recipe
    data: DataSet
    batches: Tensor
    device: str
    seeds: Sequence[int]
    jitter: Jitter | None = None
    progress: Callable[[int], None] = lambda done: None
    watch: Callable[[slice], Watch] | None = None


@dataclass
class Outcome:
    """R trained replicas; R is the first dimension of every tensor."""

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    losses: Tensor  # (R, steps), the training loss before each step
    kept: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    engine: str = ""
    ways: tuple[Ways | None, ...] = ()  # of each replica; empty if none was followed


@dataclass(frozen=True)
class Stack:
    """R replicas of one network in the form in which the ensemble trains them.

    Attributes:
        engine: its name in the results file.
        leaves: the tensors that the optimizer updates, contiguous, in the fastest layout.
        forward: from inputs ``(R, B, ...)`` to logits ``(R, B, classes)``, or one per token
            ``(R, B, T, classes)``.
        names: the parameters' names in the module.
        view: returns a parameter ``(R, ...)`` by name, in the module's layout, without a copy.
        buffers: by name, ``(R, ...)``, updated by ``forward``.
    """

    engine: str
    leaves: list[Tensor]
    forward: Callable[[Tensor], Tensor]
    names: list[str]
    view: Callable[[str], Tensor]
    buffers: dict[str, Tensor] = field(default_factory=dict)

    def read(self, name: str) -> Tensor:
        """A copy ``(R, ...)`` of a parameter by name."""
        return self.view(name).clone(memory_format=torch.contiguous_format)

    def tensors(self) -> dict[str, Tensor]:
        """Views of all parameters and buffers by name."""
        return {name: self.view(name) for name in self.names} | self.buffers


PROGRESS_EVERY = 10  # steps: frequent enough to watch, rare enough to cost nothing


def cross_entropy(logits: Tensor, targets: Tensor, *, each: bool = False) -> Tensor:
    """The cross-entropy in nats, a mean over all targets; ``each``: one per image ``(B,)``.

    Logits are ``(B, classes)`` with targets ``(B,)``, or ``(B, T, classes)`` with ``(B, T)``. Of a
    text, the loss is the mean over its tokens.
    """
    reduction = "none" if each else "mean"
    loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction=reduction)
    return loss.view(targets.shape).mean(1) if each and targets.dim() > 1 else loss


def check_logits(logits: object, work: Work) -> None:
    """Check that a network's output can be logits of this data set.

    Raises:
        NetworkError: the output is not a tensor of shape ``(batch, classes)``, or of ``(batch,
            tokens, classes)`` if the data have a target per token.
    """
    data, batch = work.data, work.recipe.batch
    expected = (batch, *data.train_targets.shape[1:], data.classes)
    if not isinstance(logits, Tensor):
        raise NetworkError(
            f"The network returned a {type(logits).__name__}. It must return logits, a tensor of "
            f"shape {expected}, and nothing else."
        )
    if tuple(logits.shape) != expected:
        raise NetworkError(
            f"The network returned shape {tuple(logits.shape)} for a batch of {batch}. "
            f"It must return logits of shape {expected}. Change the network's last layer."
        )


def precise(tensor: Tensor) -> Tensor:
    """The tensor in a dtype in which a loss is computed: bfloat16 becomes float32.

    In bfloat16 a loss has three digits, so steps of training could not be told apart.
    """
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def join(outcomes: Sequence[Outcome]) -> Outcome:
    """All chunks as one outcome, in order."""
    if len(outcomes) == 1:
        return outcomes[0]
    kept = {step: _join([outcome.kept[step] for outcome in outcomes]) for step in outcomes[0].kept}
    return Outcome(
        parameters=_join([outcome.parameters for outcome in outcomes]),
        buffers=_join([outcome.buffers for outcome in outcomes]),
        losses=torch.cat([outcome.losses for outcome in outcomes]),
        kept=kept,
        engine=outcomes[0].engine,
        ways=tuple(way for outcome in outcomes for way in outcome.ways),
    )


def _join(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
