"""Runs a notebook's protocol as an arm in initcheck's own loop, and measures every epoch."""

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

CHUNK = 2500  # test images per forward pass, so that a convolution's activations fit in memory
PROGRESS_EVERY = 1000  # steps


@dataclass(frozen=True)
class Library:
    """One protocol for initcheck's loop, which shuffles every epoch and drops an incomplete batch.

    Attributes:
        images: use only this many training images, the first ones; None for all.
        held_out: test on this many of them, the last ones, instead of training on them, as the
            notebook split its training file.
        test_scale: factor for the test images (255 if the notebook forgot to divide).
        rank_of: square layer whose ranks of W - I and W - W0 are measured every 50 steps.
        entries_of: layer of which the notebook printed single entries.
        steps: stop after this many steps, and count the layers that moved after each; 0 trains
            whole epochs.
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
        parts = [f"{self.network.name} | {self.initializer.name} | {self.optimizer}"]
        parts += [f"{key}={value}" for key, value in vars(self).items() if key not in _OBJECTS]
        return ", ".join(parts)

    def arm(self, data: DataSet) -> Arm:
        """The arm; it keeps the parameters at the end of every epoch, or after every step."""
        per_epoch = len(data.train_targets) // self.batch
        names = tuple(name for name, _ in self.network.fresh(0).named_parameters())
        steps = self.steps or per_epoch * self.epochs
        at = range(1, steps + 1) if self.steps else range(per_epoch, steps + 1, per_epoch)
        recipe = Recipe(self.optimizer, self.batch, steps, keep_at=tuple(at), keep=names)
        return Arm(self.network, self.initializer, recipe)

    def run(self, data: DataSet, seed: int, progress: Callable[[str], None]) -> Figures:
        """Training loss and test figures of every epoch, ranks and entries if requested."""
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
        """The images that the notebook trained and tested on, test images at its scale."""
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
        if self.rank_of:  # the notebook measured the rank after batches 0, 50, 100, ...
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
                continue  # running statistics are kept only at the end of training
            loss, accuracy = _evaluate(partial(_call, module, state | buffers), data)
            figures.add(epoch, test_loss=loss, test_accuracy=accuracy)
        if self.rank_of:
            _rank(trained, self.rank_of, figures, self.epochs)


_OBJECTS = ("network", "initializer", "optimizer")


def _call(module: torch.nn.Module, state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    answer: Tensor = torch.func.functional_call(module, dict(state), (x,))
    return answer


def _evaluate(forward: Callable[[Tensor], Tensor], data: DataSet) -> tuple[float, float]:
    """Mean loss in nats and accuracy on the test images."""
    with torch.no_grad():
        parts = [data.test_inputs[i : i + CHUNK] for i in range(0, len(data.test_inputs), CHUNK)]
        logits = torch.cat([forward(part) for part in parts]).double()
    loss = F.cross_entropy(logits, data.test_targets)
    right = (logits.argmax(1) == data.test_targets).double().mean()
    return float(loss), float(right)


def _rank(trained: Trained, layer: str, figures: Figures, epochs: int) -> None:
    """Add the largest ranks of W - I and of W - W0 over training."""
    weights = torch.stack([kept[layer][0] for kept in trained.kept.values()])
    identity = torch.eye(weights.shape[-1])
    figures.add(
        epochs,
        largest_rank_minus_identity=float(rank(weights - identity).max()),
        largest_rank_minus_start=float(rank(weights - trained.start[layer][0]).max()),
    )


def _entries(weight: Tensor) -> dict[str, float]:
    """The entries that notebook 002 printed of a matrix."""
    shown = {(0, 0), (0, 1), (0, 2), (0, -1), (1, 0), (1, 1), (1, 2), (1, -1), (2, 2)}
    return {f"entry[{i},{j}]": float(weight[i, j]) for i, j in sorted(shown)}


def _corner_moved(trained: Trained) -> float:
    """Largest change of the entries that a print of the first matrix shows: 3 at each edge."""
    change = (trained.parameters["hidden1.weight"] - trained.start["hidden1.weight"])[0].abs()
    edges = [0, 1, 2, -3, -2, -1]
    return float(change[edges][:, edges].max())


def _moved(trained: Trained, figures: Figures) -> Figures:
    """The number of weight matrices that differ from their start after each step."""
    weights = [name for name in trained.start if name.endswith("weight")]
    for step, kept in trained.kept.items():
        moved = sum(not torch.equal(kept[name], trained.start[name]) for name in weights)
        figures.add(step, layers_moved=moved)
    return figures
