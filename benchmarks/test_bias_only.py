"""Random biases alone: zero weights learn from them, later and at best as well as random weights.

The network 784-500-10 of notebook 000's report narrowed to 64 units, on 14 x 14 images and with
twenty times its lr, so that a few hundred steps decide what took it ten epochs.
"""

from initcheck import SGD, Adam, Arm, Recipe, claim
from initcheck.initializers import torch_default, zeros
from initcheck.notebooks.arms import (
    MNIST_FNN_POOLED,
    SOFTMAX_POOLED,
    normal_biases,
    uniform_biases,
)
from initcheck.probes import test_accuracy
from initcheck.probes.signals import nats_learned

RECIPE = Recipe(Adam(lr=2e-2), batch=100, steps=150)  # its batch; its lr is 1e-3
LONG = Recipe(Adam(lr=2e-2), batch=100, steps=600)  # until softmax regression gains no more
PLAIN = Recipe(SGD(lr=0.1), batch=32, steps=100)

DEFAULT = Arm(MNIST_FNN_POOLED, torch_default, RECIPE)
NORMAL = Arm(MNIST_FNN_POOLED, normal_biases(), RECIPE)
UNIFORM = Arm(MNIST_FNN_POOLED, uniform_biases(), RECIPE)
ALL_ZERO = Arm(MNIST_FNN_POOLED, zeros, RECIPE)
SMALL = Arm(MNIST_FNN_POOLED, normal_biases(0.01), RECIPE)
HUGE = Arm(MNIST_FNN_POOLED, normal_biases(100), RECIPE)


@claim(source="notebook 000; a0-bias-breaks-symmetry", kind="measured")
def test_random_biases_break_symmetry(verdict):
    """Under Adam with lr 2e-2, on 14 x 14 images, an ELU network 196-64-10 of zero weights reaches
    an accuracy of .5 in 150 steps from N(0, 1) and from U(0, 1) biases, and with zero biases it
    does not."""
    verdict.holds(test_accuracy, treated=NORMAL, control=ALL_ZERO, case="normal")
    verdict.holds(test_accuracy, treated=UNIFORM, control=ALL_ZERO, case="uniform")


@claim(source="notebook 000; a0-gap-to-default, a0-bias-breaks-symmetry", kind="measured")
def test_random_biases_trail_default_start(verdict):
    """Under Adam with lr 2e-2, on 14 x 14 images, an ELU network 196-64-10 of zero weights and
    N(0, 1) or U(0, 1) biases learns later than from torch's default start: over 150 steps its mean
    training loss lies at least a tenth of a nat above."""
    verdict.gains(nats_learned, better=DEFAULT, worse=NORMAL, case="normal")
    verdict.gains(nats_learned, better=DEFAULT, worse=UNIFORM, case="uniform")


@claim(source="notebook 000; a0-gap-to-default, a0-bias-breaks-symmetry", kind="measured")
def test_random_biases_trail_further_under_sgd(verdict):
    """Under plain SGD with lr .1, on 14 x 14 images, an ELU network 196-64-10 of zero weights and
    N(0, 1) biases is at least .2 behind torch's default start after 100 steps."""
    default, normal = (
        Arm(MNIST_FNN_POOLED, start, PLAIN) for start in (torch_default, normal_biases())
    )
    verdict.gains(test_accuracy, better=default, worse=normal)


@claim(source="notebook 000; report figure on bias factors; a0-bias-scale", kind="measured")
def test_huge_biases_delay_learning(verdict):
    """Under Adam with lr 2e-2, on 14 x 14 images, N(0, 1) biases times 100 on zero weights leave an
    ELU network 196-64-10 at least .08 behind those times 1 after 150 steps."""
    verdict.gains(test_accuracy, better=NORMAL, worse=HUGE)


@claim(source="notebook 000; report figure on bias factors; a0-bias-scale", kind="measured")
def test_small_biases_learn_as_well(verdict):
    """Under Adam with lr 2e-2, on 14 x 14 images, N(0, 1) biases times .01 on zero weights do as
    well as those times 1 in an ELU network 196-64-10, within .03 either way, after 150 steps."""
    verdict.holds(test_accuracy, treated=SMALL, control=ALL_ZERO)
    verdict.gains(test_accuracy, better=SMALL, worse=NORMAL, case="no worse")
    verdict.gains(test_accuracy, better=NORMAL, worse=SMALL, case="no better")


@claim(source="notebook 000; report; a0-beats-logistic", kind="measured")
def test_random_biases_beat_softmax_regression(verdict):
    """Under Adam with lr 2e-2, on 14 x 14 images, an ELU network 196-64-10 of zero weights and
    N(0, 1) biases is after 600 steps of 100 images more accurate than softmax regression from
    torch's default start."""
    verdict.gains(
        test_accuracy,
        better=Arm(MNIST_FNN_POOLED, normal_biases(), LONG),
        worse=Arm(SOFTMAX_POOLED, torch_default, LONG),
    )
