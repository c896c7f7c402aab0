"""A small protocol, its figures and images, for the tests of the reproduction."""

from __future__ import annotations

import torch

from initcheck.datasets import DataSet
from initcheck.notebooks.figures import Figures, Recorded, Run
from initcheck.notebooks.handwritten import Handwritten
from initcheck.notebooks.protocols import Configuration

SMALL = Handwritten("he", "sgd", lr=0.1, batch=10, epochs=2, momentum=0.9, faults=())


def images(count: int = 60, classes: int = 10, side: int = 28) -> DataSet:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(2 * count, 1, side, side, generator=generator)
    targets = torch.randint(classes, (2 * count,), generator=generator)
    parts = (inputs[:count], targets[:count], inputs[count:], targets[count:])
    return DataSet("fake", *parts, classes, "0" * 16)


def run_of(name: str, seed: int, epochs: int = 2, **curves: dict[int, float]) -> Run:
    return Run(name, seed, epochs, str(SMALL), "mnist", "0" * 16, "2.0", 1.0, Figures(curves))


def silent(_: str) -> None:
    pass


def configuration(name: str = "000-a", **options: object) -> Configuration:
    return Configuration(name, SMALL, **options)


def recorded(value: float, epoch: int = 1, metric: str = "train_loss") -> Recorded:
    return Recorded("000", "000-a", metric, epoch, value, "", resolution=0.005)
