"""Homogeneity: a ReLU network without biases only rescales its logits with its inputs."""

import pytest

from initcheck import SGD, Adam, Arm, Recipe, claim, mlp
from initcheck.initializers import every, glorot_uniform_, he, normal_, torch_default
from initcheck.notebooks.arms import glorot_uniform
from initcheck.probes.signals import (
    accuracy_kept_by_bytes,
    homogeneity_defect,
    loss_ratio_by_bytes,
)

WIDTHS = (784, 64, 64, 10)  # a quarter of notebook 004's
RECIPE = Recipe(Adam(lr=1e-3), batch=32, steps=80)
TRAINED = Arm(mlp(*WIDTHS), glorot_uniform, RECIPE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@claim(source="notebook 004; a4-homogeneity", kind="exact")
def test_bias_free_relu_network_is_homogeneous(verdict, dtype):
    """Without biases a ReLU network answers inputs scaled by a power of two with logits scaled by
    the same power, bit for bit; with torch's default biases it does not."""
    recipe = Recipe(SGD(lr=0.1), batch=32, steps=0, dtype=dtype)
    verdict.holds(
        homogeneity_defect,
        treated=Arm(mlp(*WIDTHS, bias=False), he, recipe),
        control=Arm(mlp(*WIDTHS), torch_default, recipe),
    )


@claim(source="notebook 004; a4-homogeneity", kind="measured")
def test_undivided_test_images_hide_from_accuracy(verdict):
    """Under Adam with lr 1e-3, a ReLU network 784-64-64-10 from Glorot's uniform weights and
    torch's default biases, trained for 80 steps on inputs in [0, 1], keeps a share of its accuracy
    on test images left in [0, 255] that is at least .15 larger than if its biases start from N(0,
    3^2), while its loss on them is at least 9 times as large, which with tanh units it is not."""
    biased = every(glorot_uniform_, normal_(3.0))
    tanh = mlp(*WIDTHS, activation="tanh")
    verdict.gains(accuracy_kept_by_bytes, better=TRAINED, worse=Arm(mlp(*WIDTHS), biased, RECIPE))
    verdict.holds(loss_ratio_by_bytes, treated=TRAINED, control=Arm(tanh, glorot_uniform, RECIPE))
