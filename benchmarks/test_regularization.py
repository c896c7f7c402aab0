"""Dropout: masks belong to units; masks of whole samples only lower the accuracy that is shown."""

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

KEPT = (0.8, 0.8, 0.9)  # of the three hidden layers: notebook 003
WIDTHS = (784, 128, 128, 64, 10)
RECIPE = Recipe(Adam(lr=1e-3), batch=32, steps=60)


class Masks(nn.Module):
    """Inverted dropout that draws from a generator of its own, which its constructor seeds."""

    def __init__(self, p, *, whole_samples=False, scaled=True):
        super().__init__()
        self.p, self.whole_samples, self.scaled = p, whole_samples, scaled
        self.generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))

    def forward(self, x):
        """Masks, in training alone."""
        if not self.training:
            return x
        shape = (len(x), 1) if self.whole_samples else x.shape
        mask = torch.rand(shape, generator=self.generator, dtype=x.dtype) >= self.p
        return x * mask.to(x) / (1 - self.p if self.scaled else 1)


def with_masks(name, masks):
    """Notebook 003's network, narrower, with a mask behind every activation."""

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
    """Torch's dropout leaves none of 1,000 samples without all of its 100 units, which masks of
    whole samples do, and keeps the mean of ones at one within five standard errors, which masks
    that are not divided by the share they keep do not."""
    verdict.holds(
        emptied_samples, treated=Arm(TORCH, he, START), control=Arm(PER_SAMPLE, he, START)
    )
    verdict.holds(mask_mean_error, treated=Arm(TORCH, he, START), control=Arm(UNSCALED, he, START))


@claim(source="notebook 003; a3-dropout-ceiling", kind="theorem")
def test_masked_samples_set_a_ceiling(verdict):
    """In a network 784-128-128-64-10 of ReLU, CELU and SiLU layers trained for 60 steps of Adam
    with lr 1e-3 under masks of whole samples that keep .8, .8 and .9 of its three hidden layers,
    accuracy under the masks is .576 of that without them plus .424 of guessing, within .03; under
    masks of units it is not."""
    verdict.holds(
        masked_accuracy_error,
        treated=Arm(PER_SAMPLE, he, RECIPE),
        control=Arm(PER_UNIT, he, RECIPE),
    )
