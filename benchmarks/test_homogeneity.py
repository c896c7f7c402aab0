"""Homogeneity: the logits of a ReLU network without biases scale with its inputs."""

import pytest

from initcheck import SGD, Adam, Arm, Recipe, claim, mlp
from initcheck.initializers import every, glorot_uniform_, he, normal_, torch_default
from initcheck.notebooks.arms import glorot_uniform
from initcheck.probes.signals import (
    accuracy_kept_by_bytes,
    homogeneity_defect,
    loss_ratio_by_bytes,
)

WIDTHS = (784, 64, 64, 10)  # hidden layers a quarter as wide as notebook 004's
RECIPE = Recipe(Adam(lr=1e-3), batch=32, steps=80)
TRAINED = Arm(mlp(*WIDTHS), glorot_uniform, RECIPE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@claim(source="notebook 004; a4-homogeneity", kind="exact")
def test_bias_free_relu_network_is_homogeneous(verdict, dtype):
    """Without biases, scaling a ReLU network's inputs scales its logits, bit for bit.

    The scales are powers of two, which multiply without rounding.
    """
    recipe = Recipe(SGD(lr=0.1), batch=32, steps=0, dtype=dtype)
    verdict.holds(
        homogeneity_defect,
        treated=Arm(mlp(*WIDTHS, bias=False), he, recipe),
        control=Arm(mlp(*WIDTHS), torch_default, recipe),
    )


@claim(source="notebook 004; a4-homogeneity", kind="measured")
def test_undivided_test_images_hide_from_accuracy(verdict):
    """Test images left in [0, 255] hardly lower a ReLU network's accuracy but multiply its loss.

    With small biases the network nearly scales with its inputs, so the largest logit stays the
    largest. Large biases break this for accuracy, and tanh units keep the loss as it was.
    """
    biased = every(glorot_uniform_, normal_(3.0))
    tanh = mlp(*WIDTHS, activation="tanh")
    verdict.gains(accuracy_kept_by_bytes, better=TRAINED, worse=Arm(mlp(*WIDTHS), biased, RECIPE))
    verdict.holds(loss_ratio_by_bytes, treated=TRAINED, control=Arm(tanh, glorot_uniform, RECIPE))
