"""Arms with their records, for the tests of the envelope and of fingerprints."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch

from initcheck.arms import SGD, Adam, Recipe
from initcheck.envelope.twins import TWINS
from initcheck.gate.reference import compare, record, twin_jitter
from initcheck.gate.seeds import reference
from initcheck.networks import mlp
from initcheck.training.train import train
from tests.helpers import toy

SEEDS = reference()
EPS = torch.finfo(torch.float32).eps
NOTEBOOKS = mlp(784, 64, 32, 32, 10)  # notebook 001's network; here on ten noisy images


@cache
def noisy_images():
    """Noisy images like the toy data, in the notebook's size."""
    generator = torch.Generator().manual_seed(5)
    centres = torch.rand(10, 1, 28, 28, generator=generator)
    labels = torch.randint(10, (400,), generator=generator)
    inputs = (centres[labels] + torch.rand(400, 1, 28, 28, generator=generator)) / 2
    return replace(
        toy.data(), classes=10,
        train_inputs=inputs, train_targets=labels, test_inputs=inputs, test_targets=labels,
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """An arm, its data and its record, as read back from a file."""

    arm: object
    data: object
    trained: object
    recorded: dict

    def again(self, arm=None, **how):
        return train(arm or self.arm, SEEDS, self.data, **how)

    def judged(self, trained):
        return compare(self.arm, trained, self.recorded)


def recorded(arm, data):
    trained = train(arm, SEEDS, data)
    twins = train(arm, list(SEEDS) * TWINS, data, jitter=twin_jitter(arm))
    precise = train(precisely(arm), SEEDS, data)
    text = json.dumps(record(arm, trained, [twins, precise]), allow_nan=False)
    return Case(arm, data, trained, json.loads(text))


def precisely(arm):
    """The same arm in float64."""
    return replace(arm, recipe=replace(arm.recipe, dtype="float64"))


@cache
def case(name):
    """A recorded arm, recorded once per session."""
    if name == "notebook 001":
        # Between steps 32 and 64, 17 of 64 sets of four runs that differ by rounding alone leave
        # the envelope of 32 twins at once, all for the same r = 1,236.
        return recorded(toy.arm(NOTEBOOKS, Recipe(Adam(lr=1e-2), 32, 32)), noisy_images())
    optimizer = {"Adam": Adam(lr=1e-2), "SGD": SGD(lr=0.1, momentum=0.9)}[name]
    return recorded(toy.arm(recipe=Recipe(optimizer, 8, 64)), toy.data())


CASES = pytest.mark.parametrize("name", ["Adam", "SGD", "notebook 001"])
