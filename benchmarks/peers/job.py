"""The training that all tools do: starts, order of images and updates are prescribed."""

from dataclasses import dataclass
from functools import cache, cached_property

import torch

from initcheck import SGD, Adam, Arm, Recipe, datasets, mlp
from initcheck.arms import order
from initcheck.initializers import torch_default


@cache
def digits():
    """The embedded images on the CPU in float32, loaded once per process."""
    return datasets.load("mnist5k")


@dataclass(frozen=True)
class Job:
    """Replicas of one perceptron with ReLU and its default start, on the embedded digits."""

    widths: tuple[int, ...]
    optimizer: str  # "Adam" or "SGD"
    batch: int
    steps: int
    seeds: tuple[int, ...]  # one per replica

    @property
    def learning_rate(self):
        """The default of Adam, or that of SGD in notebook 001."""
        return 1e-3 if self.optimizer == "Adam" else 0.1

    @property
    def arm(self):
        """The same training as an arm of initcheck."""
        make = {"Adam": Adam, "SGD": SGD}[self.optimizer](lr=self.learning_rate)
        recipe = Recipe(make, batch=self.batch, steps=self.steps)
        return Arm(mlp(*self.widths), torch_default, recipe)

    @property
    def data(self):
        """The data set."""
        return digits()

    @cached_property
    def orders(self):
        """Indices of the images of each step, ``(R, steps, B)``."""
        images = len(self.data.train_targets)
        return torch.stack([order(seed, images, self.arm.recipe) for seed in self.seeds])

    def starts(self):
        """Fresh modules, one per replica."""
        return [self.arm.build(seed) for seed in self.seeds]

    def weights(self):
        """Fresh numpy arrays: per replica, a list of weights (I, O) and biases (O,)."""
        return [
            [(m.weight.detach().T.numpy().copy(), m.bias.detach().numpy().copy())
             for m in start if isinstance(m, torch.nn.Linear)]
            for start in self.starts()
        ]  # fmt: skip

    @property
    def parameters(self):
        """The number of parameters of one replica."""
        return sum(i * o + o for i, o in zip(self.widths, self.widths[1:], strict=False))
