"""A notebook's protocol as an arm: trained by initcheck's own loop, measured after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.arms import Arm, Optimizer, Recipe
from initcheck.datasets import DataSet
from initcheck.initializers import Initializer
from initcheck.networks import Network
from initcheck.notebooks.figures import Figures
from initcheck.probes import rank
from initcheck.training.train import Trained, train

CHUNK = 2500  # test images at once: a convolution's activations must fit in memory
PROGRESS_EVERY = 1000  # steps


@dataclass(frozen=True)
class Library:
    """One run in initcheck's loop: shuffled every epoch, an incomplete last batch left out.

    Attributes:
        images: how many of the first training images are used; None for all.
        held_out: test on the last so many of those images, which are then not trained on, because
            the notebook split its training file.
        test_scale: what the test images are multiplied with (255 where the notebook forgot to
            divide).
        rank_of: the square layer whose W - W0 or W - I is ranked every 50 steps; none if empty.
        entries_of: the layer of which single entries were printed.
        steps: stop after so many steps, and count the layers that moved after each; 0 for whole
            epochs.
    """

    network: Network
    initializer: Initializer
    optimizer: Optimizer
    batch: int
    epochs: int
    images: int | None = None
    held_out: int = 0
    test_scale: float = 1.0
    rank_of: str = ""
    entries_of: str = ""
    steps: int = 0

    def __str__(self) -> str:
        told = [f"{self.network.name} | {self.initializer.name} | {self.optimizer}"]
        told += [f"{key}={value}" for key, value in vars(self).items() if key not in _OBJECTS]
        return ", ".join(told)

    def arm(self, data: DataSet) -> Arm:
        """The arm, which keeps its parameters at the end of every epoch."""
        per_epoch = len(data.train_targets) // self.batch
        names = tuple(name for name, _ in self.network.fresh(0).named_parameters())
        steps = self.steps or per_epoch * self.epochs
        at = range(1, steps + 1) if self.steps else range(per_epoch, steps + 1, per_epoch)
        recipe = Recipe(self.optimizer, self.batch, steps, keep_at=tuple(at), keep=names)
        return Arm(self.network, self.initializer, recipe)

    def run(self, data: DataSet, seed: int, progress: Callable[[str], None]) -> Figures:
        """Cost and test figures of every epoch, and what else was asked for."""
        used = self._used(data)
        trained = self._train(used, seed, progress)
        figures = Figures()
        if self.steps:
            return _moved(trained, figures)
        self._test(trained, used, figures)
        per_epoch = len(used.train_targets) // self.batch
        costs = trained.losses[0].view(self.epochs, per_epoch).mean(1)
        for epoch, cost in enumerate(costs.tolist(), start=1):
            figures.add(epoch, train_loss=cost)
        if self.entries_of:
            figures.add(self.epochs, **_entries(trained.parameters[self.entries_of][0]))
            figures.add(self.epochs, hidden1_corner_moved=_corner_moved(trained))
        return figures

    def _used(self, data: DataSet) -> DataSet:
        """The part of the data that the notebook had, test images on its scale."""
        end = self.images or len(data.train_targets)
        cut = end - self.held_out
        tests = (data.test_inputs, data.test_targets)
        if self.held_out:
            tests = (data.train_inputs[cut:end], data.train_targets[cut:end])
        return replace(
            data,
            train_inputs=data.train_inputs[:cut],
            train_targets=data.train_targets[:cut],
            test_inputs=tests[0] * self.test_scale,
            test_targets=tests[1],
        )

    def _train(self, data: DataSet, seed: int, progress: Callable[[str], None]) -> Trained:
        arm = self.arm(data)
        if self.rank_of:  # the notebook ranks after batches 0, 50, 100, ...
            ranked = range(1, arm.recipe.steps + 1, 50)
            keep_at = tuple(sorted({*arm.recipe.keep_at, *ranked}))
            arm = replace(arm, recipe=replace(arm.recipe, keep_at=keep_at))
        done = 0

        def count(more: int) -> None:
            nonlocal done
            before, done = done, done + more
            if before // PROGRESS_EVERY < done // PROGRESS_EVERY:
                progress(f"step {done} of {arm.recipe.steps}")

        return train(arm, [seed], data, progress=count)

    def _test(self, trained: Trained, data: DataSet, figures: Figures) -> None:
        per_epoch = len(data.train_targets) // self.batch
        start = {name: tensor[0] for name, tensor in trained.start.items()}
        states = {0: start} | {
            step // per_epoch: {name: tensor[0] for name, tensor in kept.items()}
            for step, kept in trained.kept.items()
            if step % per_epoch == 0
        }
        buffers = {name: tensor[0] for name, tensor in trained.buffers.items()}
        module = trained.arm.build(trained.seeds[0]).eval()
        for epoch, state in states.items():
            if buffers and epoch != self.epochs:
                continue  # running statistics are known at the end only
            loss, accuracy = _evaluate(partial(_call, module, state | buffers), data)
            figures.add(epoch, test_loss=loss, test_accuracy=accuracy)
        if self.rank_of:
            _rank(trained, self.rank_of, figures, self.epochs)


_OBJECTS = ("network", "initializer", "optimizer")


def _call(module: torch.nn.Module, state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    answer: Tensor = torch.func.functional_call(module, dict(state), (x,))
    return answer


def _evaluate(forward: Callable[[Tensor], Tensor], data: DataSet) -> tuple[float, float]:
    """Mean loss and accuracy on the test images."""
    with torch.no_grad():
        parts = [data.test_inputs[i : i + CHUNK] for i in range(0, len(data.test_inputs), CHUNK)]
        logits = torch.cat([forward(part) for part in parts]).double()
    loss = F.cross_entropy(logits, data.test_targets)
    right = (logits.argmax(1) == data.test_targets).double().mean()
    return float(loss), float(right)


def _rank(trained: Trained, layer: str, figures: Figures, epochs: int) -> None:
    """Largest rank of W - I over the curve, and that of W - W0, which is a residual for any W0."""
    weights = torch.stack([kept[layer][0] for kept in trained.kept.values()])
    identity = torch.eye(weights.shape[-1])
    figures.add(
        epochs,
        largest_rank_minus_identity=float(rank(weights - identity).max()),
        largest_rank_minus_start=float(rank(weights - trained.start[layer][0]).max()),
    )


def _entries(weight: Tensor) -> dict[str, float]:
    """The entries that notebook 002 shows of a printed matrix."""
    shown = {(0, 0), (0, 1), (0, 2), (0, -1), (1, 0), (1, 1), (1, 2), (1, -1), (2, 2)}
    return {f"entry[{i},{j}]": float(weight[i, j]) for i, j in sorted(shown)}


def _corner_moved(trained: Trained) -> float:
    """Largest change among the entries of the first matrix that a print shows: 3 at each edge."""
    moved = (trained.parameters["hidden1.weight"] - trained.start["hidden1.weight"])[0].abs()
    edges = [0, 1, 2, -3, -2, -1]
    return float(moved[edges][:, edges].max())


def _moved(trained: Trained, figures: Figures) -> Figures:
    """How many weight matrices differ from their start after each step."""
    weights = [name for name in trained.start if name.endswith("weight")]
    for step, kept in trained.kept.items():
        moved = sum(not torch.equal(kept[name], trained.start[name]) for name in weights)
        figures.add(step, layers_moved=moved)
    return figures
