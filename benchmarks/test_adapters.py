"""Adapters: a network starts as its base if one factor is zero, and learns if the other is not."""

from dataclasses import replace
from functools import partial

import pytest

from initcheck import SGD, Adam, AdamW, Arm, Recipe, claim
from initcheck.initializers import lecun_normal_, torch_default, zeros_
from initcheck.networks import pooled
from initcheck.networks.adapters import lora
from initcheck.notebooks.arms import START
from initcheck.probes.adapters import base_gap, factors_out_of_turn
from initcheck.probes.units import movement

BASE = pooled(16, 10, by=4)  # 49 pixels, 16 hidden units
RANK = 2
NETWORK = lora(BASE, RANK)
LAYERS, HALVES = ("hidden1", "output"), ("lora_a", "lora_b")
FACTORS = tuple(f"{layer}.{half}" for layer in LAYERS for half in HALVES)
TWO_STEPS = Recipe(SGD(lr=0.1), batch=32, steps=2, keep_at=(1, 2), keep=FACTORS)
OPTIMIZERS = {"sgd": SGD(lr=0.1), "adam": Adam(lr=1e-2), "adamw": AdamW(lr=1e-2, weight_decay=0.1)}

A_DRAWN = torch_default  # as the layer's constructor draws it: A random, B zero
BOTH_DRAWN = replace(torch_default.but("*.lora_b", lecun_normal_), name="both factors drawn")
BOTH_ZERO = replace(torch_default.but("*.lora_a", zeros_), name="both factors zero")
B_DRAWN = replace(BOTH_DRAWN.but("*.lora_a", zeros_), name="A zero and B drawn")


@claim(
    source="arXiv 2106.09685, section 4.1; FastVideo #781 drew both; b-lora-zero-b", kind="exact"
)
def test_adapter_starts_as_its_base(verdict):
    """A network with adapters starts as its base, bit for bit, if one factor of each is zero.

    With both factors drawn, the function changes before the first step.
    """
    for case, start in (("B zero", A_DRAWN), ("A zero", B_DRAWN)):
        verdict.holds(
            base_gap,
            treated=Arm(NETWORK, start, START),
            control=Arm(NETWORK, BOTH_DRAWN, START),
            case=case,
        )


@claim(
    source="arXiv 2106.09685, section 4.1; litgpt #1229 zeroed both; b-lora-zero-b", kind="exact"
)
def test_zero_factor_of_adapter_moves_first(verdict):
    """In SGD's first step only the zero factor of an adapter moves, in the second both move.

    The gradient of each factor is a product with the other. With both at zero, neither moves.
    """
    for case, start, first in (("B zero", A_DRAWN, "lora_b"), ("A zero", B_DRAWN, "lora_a")):
        verdict.holds(
            partial(factors_out_of_turn, first=first),
            treated=Arm(NETWORK, start, TWO_STEPS),
            control=Arm(NETWORK, BOTH_ZERO, TWO_STEPS),
            case=case,
        )


@claim(
    source="arXiv 2106.09685, section 4.1; litgpt #1229 zeroed both; b-lora-zero-b", kind="exact"
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_zero_adapter_never_moves(verdict, optimizer):
    """With both factors at zero an adapter never moves, under SGD, Adam and AdamW.

    Each gradient is a product with an exact zero, and decay leaves a zero where it is.
    """
    recipe = Recipe(OPTIMIZERS[optimizer], batch=32, steps=10)
    verdict.holds(
        partial(movement, names=FACTORS),
        treated=Arm(NETWORK, BOTH_ZERO, recipe),
        control=Arm(NETWORK, A_DRAWN, recipe),
    )
