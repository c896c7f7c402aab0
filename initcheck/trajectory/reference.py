"""The reference of a loop: what is recorded of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from initcheck.envelope import ways
from initcheck.trajectory.layers import Layer
from initcheck.trajectory.traces import Trace


@dataclass
class Tracked:
    """A tensor of the reference.

    Attributes:
        shape: its shape and dtype at the start, in words.
        trained: whether it requires gradients.
        start: ``(S, K + 1)``, the sketch of its start.
        ways: ``(S, J, K + 1)``, the sketch of its way at each judged step.
        envelope: ``(J,)``, how far rounding alone moves the end of its way.
    """

    shape: str
    trained: bool
    start: Tensor
    ways: Tensor
    envelope: Tensor


@dataclass
class Reference:
    """What is recorded of a loop.

    Attributes:
        name: the loop's name.
        steps: the number of steps of a run.
        seeds: the seeds of the S runs.
        judged: the J judged steps.
        losses: ``(S, J)`` float64.
        loss_envelope: ``(J,)``, relative.
        tensors: by name.
        batch: ``(S, tensors, K + 1)``, the first batch; None if no forward pass was seen.
        draws: whether the model's forward pass draws random numbers.
        settings: the optimizer's, at the first and last step.
        layers: what the first step leaves in each layer, of the first seed.
        environment: the machine.
        twins: the number of twins per seed.
        float64: whether a twin in float64 took part, or why none did.
        repeats: how far a second run with the first seed was from the first one: the share of
            judged tensors and steps with other bits.
        reason, date: of the recording.
        history: reason, date and torch of earlier recordings in the same file.
    """

    name: str
    steps: int
    seeds: list[int]
    judged: list[int]
    losses: Tensor
    loss_envelope: Tensor
    tensors: dict[str, Tracked]
    batch: Tensor | None
    draws: bool
    settings: dict[int, dict[str, Any]]
    layers: dict[str, Layer]
    environment: dict[str, str | int]
    twins: int
    float64: str
    repeats: float
    reason: str
    date: str
    history: list[dict[str, str]] = field(default_factory=list)


def stacked(traces: Sequence[Trace], names: Sequence[str], judged: Sequence[int]) -> ways.Sketches:
    """The ways of several runs: ``{name: (runs, J, K + 1)}``, NaN where a tensor is not there."""
    width = next(iter(traces[0].start.values())).shape
    absent = torch.full(width, torch.nan, dtype=torch.float64)
    return {
        name: torch.stack(
            [
                torch.stack([trace.ways.get(step, {}).get(name, absent) for step in judged])
                for trace in traces
            ]
        )
        for name in names
    }


def judged_losses(traces: Sequence[Trace], judged: Sequence[int]) -> Tensor:
    """The losses ``(runs, J)`` at the judged steps; NaN where a run had ended."""
    rows = [
        [trace.losses[step] if step < len(trace.losses) else torch.nan for step in judged]
        for trace in traces
    ]
    return torch.tensor(rows, dtype=torch.float64)
