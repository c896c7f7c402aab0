"""Symmetry: hidden units that start equal stay equal."""

import pytest

from initcheck import Arm, Recipe, claim
from initcheck.initializers import torch_default, zeros
from initcheck.notebooks.arms import DECAYING, MNIST_FNN, NOTEBOOK_001, STILL
from initcheck.probes import classes_predicted, unit_spread, weight_magnitude
from initcheck.probes.outcomes import loss_off_chance, loss_off_entropy

BATCH, STEPS = 32, 30
LONGER = {"sgd": 100}  # after 30, its control predicts at most two classes on every other seed
OPTIMIZERS = STILL | DECAYING  # decay leaves a zero where it is
THREE = {name: OPTIMIZERS[name] for name in ("nesterov", "adam", "adamw")}

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])


def both_starts(network, recipe):
    """All zeros, and torch's default start."""
    return {
        "treated": Arm(network, zeros, recipe),
        "control": Arm(network, torch_default, recipe),
    }


@claim(source="notebooks 000, 001, 004; a1-all-zero-const, a0-zero-zero-const", kind="exact")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@in_both_precisions
def test_all_zero_network_stays_symmetric(verdict, optimizer, dtype):
    """Under SGD with lr .1, plain, with momentum .9 or Nesterov's, under Adam and AdamW with lr
    1e-2 and under RMSprop with lr 1e-3, an all-zero ReLU network 784-64-32-32-10 keeps every weight
    and hidden bias bit-zero and predicts one class, for 30 steps, and for 100 under plain SGD; from
    torch's default start it does neither."""
    steps = LONGER.get(optimizer, STEPS)
    arms = both_starts(NOTEBOOK_001, Recipe(OPTIMIZERS[optimizer], BATCH, steps, dtype=dtype))
    verdict.holds(weight_magnitude, **arms)
    verdict.holds(unit_spread, **arms)
    verdict.holds(classes_predicted, **arms)


@claim(source="notebook 001; a1-all-zero-const, its loss", kind="measured")
def test_all_zero_network_learns_the_shares_of_labels_alone(verdict):
    """Under Adam with lr 1e-2, the mean loss over all training images of an all-zero ReLU network
    784-64-32-32-10 is after 30 steps of 32 images within .05 nats of the entropy of their labels,
    which no answers that are the same for every image can undercut; from torch's default start it
    is further off."""
    arms = both_starts(NOTEBOOK_001, Recipe(OPTIMIZERS["adam"], BATCH, STEPS))
    verdict.holds(loss_off_entropy, **arms)


@claim(source="notebook 000; a0-zero-zero-const", kind="exact")
@pytest.mark.parametrize("optimizer", THREE.values(), ids=THREE)
@in_both_precisions
def test_all_zero_elu_network_is_no_wiser_than_chance(verdict, optimizer, dtype):
    """Under SGD with Nesterov momentum .9 and lr .1 and under Adam and AdamW with lr 1e-2, the
    report's all-zero ELU network 784-500-10 starts at a loss of ln 10 and for 10 steps keeps
    every weight and hidden bias bit-zero, so that it answers one class whatever the image; from
    torch's default start it does none of these."""
    arms = both_starts(MNIST_FNN, Recipe(optimizer, 16, 10, dtype=dtype))  # its MINI_BATCH
    verdict.holds(loss_off_chance, **arms)
    verdict.holds(weight_magnitude, **arms)
    verdict.holds(classes_predicted, **arms)
