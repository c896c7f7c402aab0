"""Mini-batches: in one epoch, smaller batches give more steps."""

from initcheck import Adam, Arm, Recipe, claim
from initcheck.initializers import torch_default
from initcheck.notebooks.arms import MNIST_FNN_POOLED
from initcheck.probes import test_accuracy

EPOCH = 4000  # images
ADAM = Adam(lr=1e-3)  # the notebook's, which has 500 units on 28 x 28 pixels; here 64 on 14 x 14


@claim(source="notebook 000; a0-minibatch", kind="measured")
def test_small_batches_learn_more_in_one_epoch(verdict):
    """Under Adam, small batches reach a higher accuracy in one epoch than large ones.

    They take more steps.
    """
    small, large = (
        Arm(MNIST_FNN_POOLED, torch_default, Recipe(ADAM, batch, EPOCH // batch))
        for batch in (16, 100)
    )
    verdict.gains(test_accuracy, better=small, worse=large)
