"""Recording and comparing a loop in memory, as small as it goes."""

from __future__ import annotations

from collections.abc import Sequence

from initcheck.trajectory.compare import Comparison, compare
from initcheck.trajectory.confirming import confirmed, twins_of_today
from initcheck.trajectory.loops import Loop, Training
from initcheck.trajectory.recording import made
from initcheck.trajectory.reference import Reference
from initcheck.trajectory.run import run

STEPS, SEEDS, TWINS = 5, (0, 1), 2


def recorded(
    training: Training, *, steps: int = STEPS, seeds: Sequence[int] = SEEDS, twins: int = TWINS
) -> Reference:
    """The reference of a loop."""
    loop = Loop(training, "training")
    return made(loop, steps=steps, seeds=seeds, twins=twins, reason="test")[0]


def compared(training: Training, reference: Reference) -> Comparison:
    """How a loop compares with it."""
    loop = Loop(training, "training")
    found = compare([run(loop, seed, reference.steps) for seed in reference.seeds], reference)
    return confirmed(found, reference, twins_of_today(loop, reference.steps))
