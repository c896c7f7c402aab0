"""Dropout: masks must drop units; masks of whole samples only lower the accuracy under dropout."""

from collections import OrderedDict

import torch
from torch import nn

from initcheck import Adam, Arm, Network, Recipe, claim, mlp
from initcheck.initializers import he
from initcheck.notebooks.arms import ACTIVATIONS, START
from initcheck.probes.dropout import (
    emptied_samples,
    mask_mean_error,
    masked_accuracy_error,
)

KEPT = (0.8, 0.8, 0.9)  # share kept in each hidden layer of notebook 003
WIDTHS = (784, 128, 128, 64, 10)
RECIPE = Recipe(Adam(lr=1e-3), batch=32, steps=60)


class Masks(nn.Module):
    """Inverted dropout with its own generator, which the constructor seeds."""

    def __init__(self, p, *, whole_samples=False, scaled=True):
        super().__init__()
        self.p, self.whole_samples, self.scaled = p, whole_samples, scaled
        self.generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))

    def forward(self, x):
        """Masks in training mode only."""
        if not self.training:
            return x
        shape = (len(x), 1) if self.whole_samples else x.shape
        mask = torch.rand(shape, generator=self.generator, dtype=x.dtype) >= self.p
        return x * mask.to(x) / (1 - self.p if self.scaled else 1)


def with_masks(name, masks):
    """Notebook 003's network, narrower, with a mask after every activation."""

    def build():
        layers = OrderedDict()
        keep = iter(KEPT)
        for key, layer in mlp(*WIDTHS, activation=ACTIVATIONS).build().named_children():
            layers[key] = layer
            if key.startswith(ACTIVATIONS):
                layers[f"masks_{key}"] = masks(1 - next(keep))
        return nn.Sequential(layers)

    return Network(f"{name}, mlp {WIDTHS}", build)


TORCH = with_masks("dropout", nn.Dropout)
PER_UNIT = with_masks("masks of units", Masks)
PER_SAMPLE = with_masks("masks of samples", lambda p: Masks(p, whole_samples=True))
UNSCALED = with_masks("masks unscaled", lambda p: Masks(p, scaled=False))


@claim(source="notebook 003; Srivastava et al. 2014; a3-dropout-per-unit", kind="theorem")
def test_dropout_masks_units(verdict):
    """Torch's dropout drops single units, not whole samples, and keeps the mean."""
    verdict.holds(
        emptied_samples, treated=Arm(TORCH, he, START), control=Arm(PER_SAMPLE, he, START)
    )
    verdict.holds(mask_mean_error, treated=Arm(TORCH, he, START), control=Arm(UNSCALED, he, START))


@claim(source="notebook 003; a3-dropout-ceiling", kind="theorem")
def test_masked_samples_set_a_ceiling(verdict):
    """Under dropout of whole samples, accuracy follows from the accuracy without masks.

    A sample survives all three masks with a probability of .8 x .8 x .9 = .576; otherwise the
    network can only guess. Accuracy under the masks is therefore .576 of the accuracy without them
    plus .424 of guessing.
    """
    verdict.holds(
        masked_accuracy_error,
        treated=Arm(PER_SAMPLE, he, RECIPE),
        control=Arm(PER_UNIT, he, RECIPE),
    )
