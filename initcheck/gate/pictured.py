"""What pictures of mechanisms are drawn from: trained arms, and tables of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd
from torch import Tensor

from initcheck.arms import Arm
from initcheck.baselines.folder import Baselines
from initcheck.gate import seeds
from initcheck.gate.trainer import Laboratory
from initcheck.training.train import Trained

DIGITS = 4  # significant ones of every number in a frame
SEEDS = 4


class NoPictureError(Exception):
    """A picture cannot be drawn in this run; the message is a sentence that says why."""


@dataclass(frozen=True)
class Source:
    """Trains the arms of pictures with a session's settings.

    Attributes:
        laboratory: trains; arms that it has already trained are not trained again.
        device: on which arms are trained.
        baselines: where recorded trajectories are, or None.
        salt: draws other seeds, as ``--initcheck-salt`` does.
    """

    laboratory: Laboratory = field(default_factory=Laboratory)
    device: str = "cpu"
    baselines: Baselines | None = None
    salt: str = ""

    def seeds(self, count: int = SEEDS) -> tuple[int, ...]:
        """The first seeds of the first stage, on which the claims are judged as well."""
        return seeds.stage(seeds.FIRST, count, self.salt)

    def trained(self, arm: Arm, count: int = SEEDS) -> Trained:
        """The arm, trained on the first ``count`` seeds of the first stage."""
        return self.laboratory.trained(arm, self.seeds(count), self.device)

    def together(self, arms: Sequence[Arm], count: int = SEEDS) -> list[Trained]:
        """Arms that differ only in their start, trained as replicas of one another."""
        seeds = self.seeds(count)
        missing = [arm for arm in arms if not self.laboratory.has(arm, seeds, self.device)]
        if missing:
            self.laboratory.train_together(dict.fromkeys(missing, seeds), self.device)
        return [self.trained(arm, count) for arm in arms]


@dataclass(frozen=True)
class Drawing:
    """How one picture is made.

    Attributes:
        name: its name, also of its file.
        title: one short line.
        mechanisms: the picture belongs to the claims of these files in ``benchmarks/``.
        frame: trains and measures.
        text: the numbers of a frame in sentences, for those who do not see the picture.
        reason: one or two sentences on why it looks as it does.
        units: the unit of each column that has one.
    """

    name: str
    title: str
    mechanisms: tuple[str, ...]
    frame: Callable[[Source], pd.DataFrame]
    text: Callable[[pd.DataFrame], str]
    reason: str
    units: dict[str, str] = field(default_factory=dict)


def spread(values: Tensor) -> dict[str, float]:
    """The mean, smallest and largest of one value per seed, ``(R,)``; NaN if one is NaN."""
    numbers = values.detach().cpu().double()
    return {
        "mean": float(numbers.mean()), "lowest": float(numbers.min()),
        "highest": float(numbers.max()),
    }  # fmt: skip
