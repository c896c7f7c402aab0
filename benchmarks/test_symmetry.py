"""Symmetry: hidden units that start equal stay equal."""

import pytest

from initcheck import Arm, Recipe, claim
from initcheck.initializers import torch_default, zeros
from initcheck.notebooks.arms import DECAYING, MNIST_FNN, NOTEBOOK_001, STILL
from initcheck.probes import classes_predicted, unit_spread, weight_magnitude
from initcheck.probes.outcomes import loss_off_chance, loss_off_entropy

BATCH, STEPS = 32, 30
LONGER = {"sgd": 100}  # after 30 its control predicts at most two classes on half of the seeds
OPTIMIZERS = STILL | DECAYING  # decay keeps a zero at zero
THREE = {name: OPTIMIZERS[name] for name in ("nesterov", "adam", "adamw")}

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])


def both_starts(network, recipe):
    """Arms that start from all zeros and from torch's default."""
    return {
        "treated": Arm(network, zeros, recipe),
        "control": Arm(network, torch_default, recipe),
    }


@claim(source="notebooks 000, 001, 004; a1-all-zero-const, a0-zero-zero-const", kind="exact")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@in_both_precisions
def test_all_zero_network_stays_symmetric(verdict, optimizer, dtype):
    """Under SGD, Adam, AdamW and RMSprop, an all-zero ReLU network trains only output biases.

    Every other gradient is a product with an exact zero, and decay leaves a zero where it is. So
    hidden units stay equal, and every image gets the same class.
    """
    steps = LONGER.get(optimizer, STEPS)
    arms = both_starts(NOTEBOOK_001, Recipe(OPTIMIZERS[optimizer], BATCH, steps, dtype=dtype))
    verdict.holds(weight_magnitude, **arms)
    verdict.holds(unit_spread, **arms)
    verdict.holds(classes_predicted, **arms)


@claim(source="notebook 001; a1-all-zero-const, its loss", kind="measured")
def test_all_zero_network_learns_the_shares_of_labels_alone(verdict):
    """Under Adam, an all-zero ReLU network learns only how often each label occurs.

    Its loss ends near the entropy of the labels, the lowest loss of any answer that is the same for
    every image.
    """
    arms = both_starts(NOTEBOOK_001, Recipe(OPTIMIZERS["adam"], BATCH, STEPS))
    verdict.holds(loss_off_entropy, **arms)


@claim(source="notebook 000; a0-zero-zero-const", kind="exact")
@pytest.mark.parametrize("optimizer", THREE.values(), ids=THREE)
@in_both_precisions
def test_all_zero_elu_network_is_no_wiser_than_chance(verdict, optimizer, dtype):
    """Under SGD, Adam and AdamW, an all-zero ELU network predicts one class for every image.

    Its loss starts at ln 10, and its weights and hidden biases stay exactly zero.
    """
    arms = both_starts(MNIST_FNN, Recipe(optimizer, 16, 10, dtype=dtype))  # batch: its MINI_BATCH
    verdict.holds(loss_off_chance, **arms)
    verdict.holds(weight_magnitude, **arms)
    verdict.holds(classes_predicted, **arms)
