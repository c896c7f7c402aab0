"""Zero heads: a last layer of zeros holds back the layers below it for one step, and no longer."""

from functools import partial

from initcheck import SGD, Adam, Arm, Recipe, claim, mlp
from initcheck.initializers import he, randn, zeros, zeros_
from initcheck.probes import test_accuracy
from initcheck.probes.signals import start_logit_range
from initcheck.probes.units import movement

HIDDEN = mlp(784, 64, 32, 10)  # ReLU
REGRESSION = mlp(784, 10)
ZERO_HEAD = he.but("output.weight", zeros_)
BELOW = tuple(f"hidden{number}.{part}" for number in (1, 2) for part in ("weight", "bias"))
ONE = Recipe(SGD(lr=0.1), batch=32, steps=1)
LONG = Recipe(Adam(lr=1e-3), batch=32, steps=100)
WHOLE = Recipe(SGD(lr=0.1), batch=4000, steps=1)  # all images


@claim(
    source="Goyal et al., arXiv 1706.02677, section 5.1, on zero gains; b-zero-last-layer-fine",
    kind="exact",
)
def test_zero_head_passes_no_gradient_in_the_first_step(verdict):
    """Below a head of zeros, all logits start equal, and no parameter moves in the first step.

    The gradient of what is below is a product with the head's weights.
    """
    treated, control = Arm(HIDDEN, ZERO_HEAD, ONE), Arm(HIDDEN, he, ONE)
    verdict.holds(start_logit_range, treated=treated, control=control)
    verdict.holds(partial(movement, names=BELOW), treated=treated, control=control)


@claim(source="b-zero-last-layer-fine", kind="measured")
def test_zero_head_learns_but_lags(verdict):
    """Under Adam, a network with a head of zeros learns, and at first lags behind He's start.

    If all its weights are zero, it does not learn.
    """
    treated = Arm(HIDDEN, ZERO_HEAD, LONG)
    verdict.holds(test_accuracy, treated=treated, control=Arm(HIDDEN, zeros, LONG))
    verdict.gains(test_accuracy, better=Arm(HIDDEN, he, LONG), worse=treated, case="lag")


@claim(source="the loss of softmax regression is convex; b-logistic-zero-fine", kind="measured")
def test_softmax_regression_learns_from_zero_in_one_step(verdict):
    """One step of all images from zero lets softmax regression tell most digits apart.

    The step goes along the means of the classes, so its size does not matter. From N(0, 1), one
    step of that size changes little.
    """
    verdict.holds(
        test_accuracy,
        treated=Arm(REGRESSION, zeros, WHOLE),
        control=Arm(REGRESSION, randn, WHOLE),
    )
