"""The systems of notebooks 002, 003 and 004, and the arms that several of their claims share.

Brief scale keeps depth, activations and optimizers and, where a whole layer adds nothing to the
claim, divides the widths, and the images' sides: every constant says by how much.
"""

from __future__ import annotations

from dataclasses import replace

from initcheck.initializers import (
    constant_,
    every,
    glorot_uniform_,
    hadamard_,
    he,
    one_n_each_,
    partial_identity_,
    randn,
    spray_,
)
from initcheck.networks import Network, mlp
from initcheck.pretraining import Schedule, pretrained
from initcheck.recipes import SGD, Adam, Arm, Recipe
from initcheck.systems import pooled

START = Recipe(SGD(lr=0.1), batch=32, steps=0)  # for laws of starts: nothing is trained

# --- notebook 002 ---------------------------------------------------------------------------------

PIXELS = 784
SQUARE = "hidden3.weight"  # the square layer behind the widening one
WIDE = mlp(PIXELS, PIXELS, 1024, 1024, 10)  # the notebook at hidden width 1024
RANK_RECIPE = Recipe(SGD(lr=0.2), batch=16, steps=150, keep_at=(50,), keep=(SQUARE,))
EQUAL_BIASES = constant_(0.01)  # the notebook's

identity_biased = every(partial_identity_, EQUAL_BIASES, "partial identity, biases .01")
hadamard_biased = every(hadamard_, EQUAL_BIASES, "hadamard, biases .01")
one_n_each_biased = every(one_n_each_, EQUAL_BIASES, "OnE, biases .01")
spray_biased = every(spray_, EQUAL_BIASES, "Spray, biases .01")

WIDENING = pooled(196, 256, 256, 10, by=2)  # WIDE, every width divided by four
IDENTITY = Arm(WIDENING, identity_biased, RANK_RECIPE)
HADAMARD = Arm(WIDENING, hadamard_biased, RANK_RECIPE)

POOLED_PIXELS = 49  # 7 x 7


def equal_then(*widths: int, bias: bool = True) -> Network:
    """Notebook 002 on 7 x 7 images: a layer as wide as these, then ``widths``; ReLU."""
    return pooled(POOLED_PIXELS, *widths, by=4, bias=bias)


POOLED = equal_then(128, 128, 10)
POOLED_BIAS_FREE = equal_then(128, 128, 10, bias=False)

NARROWING = equal_then(32, 32, 10)  # hidden width 256 of 784 inputs, on 49: no layer widens
POOLED_RECIPE = Recipe(SGD(lr=0.1), batch=32, steps=100)  # its lr; batch 64 and one epoch there
IDENTITY_NARROWING = Arm(NARROWING, identity_biased, POOLED_RECIPE)
ONE_NARROWING = Arm(NARROWING, one_n_each_biased, POOLED_RECIPE)
SPRAY_NARROWING = Arm(NARROWING, spray_biased, POOLED_RECIPE)

# --- notebook 003 ---------------------------------------------------------------------------------

ACTIVATIONS = ("relu", "celu", "silu")
MIXED_WIDE = mlp(PIXELS, 512, 1024, 128, 10, activation=ACTIVATIONS)
MIXED_HALF = mlp(PIXELS, 256, 512, 64, 10, activation=ACTIVATIONS)
MIXED = pooled(128, 256, 32, 10, by=2, activation=ACTIVATIONS)  # every width divided by four
MOMENTUM = SGD(lr=1e-3, momentum=0.9)  # the notebook's, as are the learning rates below
MIXED_RECIPE = Recipe(MOMENTUM, batch=32, steps=64)  # the notebook's batch is 100
HE, RANDN = Arm(MIXED_HALF, he, MIXED_RECIPE), Arm(MIXED_HALF, randn, MIXED_RECIPE)

# --- notebook 004 ---------------------------------------------------------------------------------

SHALLOW = mlp(PIXELS, 128, 128, 10)  # every hidden width divided by two
DEEP = mlp(PIXELS, 256, 256, 256, 256, 10)
glorot_uniform = every(glorot_uniform_, name="glorot uniform, torch's biases")  # the notebook's
DEPTH_RECIPE = Recipe(Adam(lr=1e-3), batch=32, steps=40)  # its lr; batch 100 and 15 epochs there

# --- deep sigmoid networks ------------------------------------------------------------------------

SIGMOID_WIDTH = 100


def sigmoid_network(depth: int) -> Network:
    """``depth`` sigmoid layers of 100 units on 14 x 14 images."""
    return pooled(*[SIGMOID_WIDTH] * depth, 10, by=2, activation="sigmoid")


SIGMOID_RECIPE = Recipe(SGD(lr=0.1, momentum=0.9), batch=32, steps=80)
SCHEDULE = Schedule(epochs=3, images=1000, batch=20, lr=0.4, pool=2)
PRETRAINED = pretrained(SCHEDULE)
TURNED_ROUND = pretrained(replace(SCHEDULE, lr=-0.4))  # the wrong sign
