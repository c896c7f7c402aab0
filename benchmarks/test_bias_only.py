"""Random biases alone: they let zero weights learn, but later than random weights do.

The network is that of notebook 000's report, 784-500-10, with 64 hidden units, on 14 x 14 images
and with twenty times the learning rate. A few hundred steps then decide what took ten epochs.
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

RECIPE = Recipe(Adam(lr=2e-2), batch=100, steps=150)  # the report's batch; its rate is 1e-3
LONG = Recipe(Adam(lr=2e-2), batch=100, steps=600)  # until softmax regression stops improving
PLAIN = Recipe(SGD(lr=0.1), batch=32, steps=100)

DEFAULT = Arm(MNIST_FNN_POOLED, torch_default, RECIPE)
NORMAL = Arm(MNIST_FNN_POOLED, normal_biases(), RECIPE)
UNIFORM = Arm(MNIST_FNN_POOLED, uniform_biases(), RECIPE)
ALL_ZERO = Arm(MNIST_FNN_POOLED, zeros, RECIPE)
SMALL = Arm(MNIST_FNN_POOLED, normal_biases(0.01), RECIPE)
HUGE = Arm(MNIST_FNN_POOLED, normal_biases(100), RECIPE)


@claim(source="notebook 000; a0-bias-breaks-symmetry", kind="measured")
def test_random_biases_break_symmetry(verdict):
    """Under Adam, random biases let an ELU network of zero weights learn; zero biases do not.

    This holds for normal biases and for uniform ones, which are all positive.
    """
    verdict.holds(test_accuracy, treated=NORMAL, control=ALL_ZERO, case="normal")
    verdict.holds(test_accuracy, treated=UNIFORM, control=ALL_ZERO, case="uniform")


@claim(source="notebook 000; a0-gap-to-default, a0-bias-breaks-symmetry", kind="measured")
def test_random_biases_trail_default_start(verdict):
    """Under Adam, zero weights with random biases learn later than torch's default start.

    At the end both are about equally accurate, so the claim compares the training loss averaged
    over all steps.
    """
    verdict.gains(nats_learned, better=DEFAULT, worse=NORMAL, case="normal")
    verdict.gains(nats_learned, better=DEFAULT, worse=UNIFORM, case="uniform")


@claim(source="notebook 000; a0-gap-to-default, a0-bias-breaks-symmetry", kind="measured")
def test_random_biases_trail_further_under_sgd(verdict):
    """Under plain SGD, zero weights with random biases stay far behind torch's default start.

    Under Adam the gap in accuracy is much smaller.
    """
    default, normal = (
        Arm(MNIST_FNN_POOLED, start, PLAIN) for start in (torch_default, normal_biases())
    )
    verdict.gains(test_accuracy, better=default, worse=normal)


@claim(source="notebook 000; report figure on bias factors; a0-bias-scale", kind="measured")
def test_huge_biases_delay_learning(verdict):
    """Under Adam, biases from N(0, 1) times 100 delay learning from zero weights."""
    verdict.gains(test_accuracy, better=NORMAL, worse=HUGE)


@claim(source="notebook 000; report figure on bias factors; a0-bias-scale", kind="measured")
def test_small_biases_learn_as_well(verdict):
    """Under Adam, zero weights learn about as well with N(0, 1) biases as with 0.01 times those."""
    verdict.holds(test_accuracy, treated=SMALL, control=ALL_ZERO)
    verdict.gains(test_accuracy, better=SMALL, worse=NORMAL, case="no worse")
    verdict.gains(test_accuracy, better=NORMAL, worse=SMALL, case="no better")


@claim(source="notebook 000; report; a0-beats-logistic", kind="measured")
def test_random_biases_beat_softmax_regression(verdict):
    """Under Adam, zero ELU weights with random biases end ahead of softmax regression.

    Softmax regression has stopped improving by then, so the hidden layer makes the difference.
    """
    verdict.gains(
        test_accuracy,
        better=Arm(MNIST_FNN_POOLED, normal_biases(), LONG),
        worse=Arm(SOFTMAX_POOLED, torch_default, LONG),
    )
