"""Regimes: a claim's experiment in words, generated from its arms and limits."""

from functools import partial

import pytest

from initcheck import SGD, Adam, Arm, Recipe, RMSprop, mlp
from initcheck.baselines.limits import LimitEntry
from initcheck.gate.comparison import Pair
from initcheck.gate.regime import judged, regime
from initcheck.initializers import every, he, randn, torch_default, zeros, zeros_
from initcheck.probes import loss_difference, residual_rank, test_accuracy, unit_spread
from initcheck.probes.outcomes import images_told_apart

test_accuracy.__test__ = False  # pytest would collect the probe

SMALL = mlp(784, 64, 10)
RECIPE = Recipe(Adam(lr=1e-2), batch=32, steps=150)
ARM = Arm(SMALL, zeros, RECIPE)
SETTING = "ReLU network 784-64-10; Adam (lr 0.01) for 150 steps; batch 32; mnist5k"


def pair(treated=ARM, control=None, *, probe=test_accuracy, case="", form="holds"):
    """A comparison; by default the control starts from torch's default."""
    return Pair(probe, treated, control or Arm(SMALL, torch_default, RECIPE), case, form)


def started(*initializers):
    """Arms that differ in their start."""
    return [Arm(SMALL, each, RECIPE) for each in initializers]


def under(*optimizers, steps=150):
    """A pair for each optimizer."""
    recipes = [Recipe(optimizer, batch=32, steps=steps) for optimizer in optimizers]
    return [pair(Arm(SMALL, zeros, each), Arm(SMALL, torch_default, each)) for each in recipes]


def limit(kind="measured", unit="share", **numbers):
    """A limit with these numbers."""
    return LimitEntry("claim", "probe", unit, kind, "why", "fault", **numbers)


# --- one experiment -------------------------------------------------------------------------------


def test_regime_says_what_arms_share_then_how_they_differ():
    assert regime([pair()]) == f"{SETTING}. Treated: all zeros; control: torch's default."


def test_biases_are_mentioned_where_there_are_none():
    network = mlp(784, 64, 10, bias=False)
    arms = Arm(network, he, RECIPE), Arm(network, zeros, RECIPE)
    assert regime([pair(*arms)]).startswith("ReLU network 784-64-10, no biases; Adam")
    assert "zero biases" not in regime([pair(*arms)])


def test_float64_is_mentioned():
    recipe = Recipe(SGD(lr=0.1), batch=32, steps=0, dtype="float64")
    text = regime([pair(Arm(SMALL, zeros, recipe), Arm(SMALL, he, recipe))])
    assert text.startswith("ReLU network 784-64-10; no training; float64; mnist5k. ")


# --- several experiments --------------------------------------------------------------------------


def test_optimizers_are_alternatives():
    text = regime(under(SGD(lr=0.1, momentum=0.9), Adam(lr=0.01)))
    assert "; SGD (lr 0.1, momentum 0.9) or Adam (lr 0.01) for 150 steps; " in text
    assert text.endswith(". Treated: all zeros; control: torch's default.")


def test_steps_stay_with_their_optimizer():
    text = regime([*under(SGD(lr=0.1), steps=100), *under(Adam(lr=0.1), RMSprop(lr=0.1), steps=30)])
    assert "; SGD (lr 0.1) for 100 steps, or Adam (lr 0.1) or RMSprop (lr 0.1) for 30 steps" in text


def test_a_noun_appears_once():
    networks = [mlp(784, 64, 10, activation=name) for name in ("relu", "elu", "tanh")]
    pairs = [pair(Arm(n, zeros, RECIPE), Arm(n, he, RECIPE)) for n in networks]
    assert regime(pairs).startswith("ReLU, ELU or tanh network 784-64-10; Adam")


def test_differing_networks_are_named_per_arm():
    arms = [Arm(mlp(784, *hidden, 10), he, RECIPE) for hidden in ((64,), (32, 32), ())]
    assert regime([pair(*arms[:2])]) == (
        "ReLU network; Adam (lr 0.01) for 150 steps; batch 32; mnist5k; from He normal "
        "with zero biases. Treated: 784-64-10; control: 784-32-32-10."
    )
    other = Arm(mlp(784, 10), zeros, RECIPE)
    assert regime([pair(arms[0], other)]).endswith(
        "Treated: ReLU network 784-64-10 from He normal with zero biases; "
        "control: softmax regression 784-10 from all zeros."
    )


def test_differing_biases_are_named_for_both_arms():
    bias_free = Arm(mlp(784, 64, 10, bias=False), zeros, RECIPE)
    text = regime([pair(bias_free, ARM)])
    assert text.endswith("from all zeros. Treated: no biases; control: with biases.")


def test_differing_recipes_are_named_per_arm():
    small, large = (
        Arm(SMALL, he, Recipe(Adam(lr=0.01), batch=batch, steps=steps, dtype=dtype))
        for batch, steps, dtype in ((16, 250, "float64"), (100, 40, "float32"))
    )
    assert regime([pair(small, large, form="gains")]).endswith(
        "Better: 250 steps, batch 16, float64; worse: 40 steps, batch 100, float32."
    )


def test_arms_of_each_probe_are_named():
    zero, good, wild = started(zeros, he, randn)
    text = regime([pair(good, zero), pair(good, wild, probe=unit_spread)])
    assert text.endswith(
        "Treated: He normal with zero biases; control: all zeros for test accuracy; "
        "N(0, 1) with zero biases for unit spread."
    )
    text = regime([pair(good, zero), pair(wild, zero, probe=unit_spread)])
    assert text.endswith(
        "Treated for test accuracy: He normal with zero biases; control: all zeros. "
        "Treated for unit spread: N(0, 1) with zero biases; control: all zeros."
    )


def test_pairs_of_one_probe_are_listed():
    pairs = [pair(*started(he, zeros)), pair(*started(randn, torch_default))]
    assert regime(pairs).endswith(
        "Treated vs control: He normal with zero biases vs all zeros; "
        "N(0, 1) with zero biases vs torch's default."
    )


def test_the_same_change_of_several_starts_is_said_once():
    pairs = [
        pair(*started(every(zeros_, name=name), every(zeros_, name=f"scaled_({name}, 0.5)")))
        for name in ("mine_", "yours_", "theirs_")
    ]
    assert regime(pairs).endswith("Treated: mine_, yours_ or theirs_; control: the same x 0.5.")


def test_only_the_options_that_differ_are_repeated():
    starts = [every(zeros_, name=f"mine, 3 rounds, lr {lr}") for lr in (0.4, -0.4)]
    assert regime([pair(*started(*starts))]).endswith(
        "Treated: mine (3 rounds, lr 0.4); control: the same but lr -0.4."
    )
    other = every(zeros_, name="mine, 3 rounds")
    assert "the same" not in regime([pair(*started(starts[0], other))])


def test_optimizers_that_differ_in_one_option_are_merged():
    text = regime(under(SGD(lr=0.1, momentum=0.9), SGD(lr=0.1, momentum=0.5), Adam(lr=0.1)))
    assert "; SGD (lr 0.1, momentum 0.9 or momentum 0.5) or Adam (lr 0.1) for 150 steps;" in text
    apart = regime(under(SGD(lr=0.1, momentum=0.9), SGD(lr=0.2, momentum=0.5)))
    assert "SGD (lr 0.1, momentum 0.9) or SGD (lr 0.2, momentum 0.5) for 150" in apart


def test_biases_that_both_arms_share_are_said_once():
    pairs = [
        pair(*started(*(every(zeros_, name=f"{name}, biases {b}") for name in ("mine", "yours"))))
        for b in (0, 1)
    ]
    assert regime(pairs) == (f"{SETTING}; biases 0 or biases 1. Treated: mine; control: yours.")


def test_arms_of_gains_refer_to_those_of_holds():
    good, wild = started(he, randn)
    assert regime([pair(wild, good), pair(good, wild, form="gains")]) == (
        f"{SETTING}; zero biases. Treated: N(0, 1); control: He normal. "
        "Better: control; worse: treated."
    )


def test_control_does_not_repeat_the_treated_arm():
    default, changed = started(torch_default, torch_default.but("hidden1.weight", zeros_))
    assert regime([pair(default, changed)]).endswith("; control: the same but hidden1.weight zero.")
    networks = [mlp(784, 64, 10, activation=name) for name in ("relu", "tanh")]
    relu, tanh = (Arm(network, he, RECIPE) for network in networks)
    other = Arm(networks[0], randn, RECIPE)
    assert regime([pair(relu, tanh), pair(other, relu, probe=unit_spread)]).endswith(
        "Treated for test accuracy: ReLU network from He normal; "
        "control: tanh network from the same start. "
        "Treated for unit spread: ReLU network from N(0, 1); "
        "control: ReLU network from He normal."
    )


def test_a_comparison_both_ways_appears_once():
    one, other = started(he, randn)
    pairs = [pair(one, other, form="gains", case="a"), pair(other, one, form="gains", case="b")]
    assert regime(pairs) == (
        f"{SETTING}; zero biases. Better: He normal; worse: N(0, 1); and vice versa."
    )


def test_experiments_that_share_too_little_are_described_one_by_one():
    sgd = Recipe(SGD(lr=0.1), batch=32, steps=9)
    elsewhere = pair(Arm(SMALL, randn, sgd), Arm(SMALL, he, sgd), probe=unit_spread)
    assert regime([pair(), elsewhere]) == (
        f"For test accuracy: {SETTING}. Treated: all zeros; control: torch's default. "
        "For unit spread: ReLU network 784-64-10; SGD (lr 0.1) for 9 steps; batch 32; "
        "mnist5k; zero biases. Treated: N(0, 1); control: He normal."
    )


def test_equal_arms_share_all():
    assert regime([pair(ARM, ARM)]) == f"{SETTING}; from all zeros."


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "numbers", "shown"),
    [
        ("holds", {"low": 0.5}, "treated at least 0.5, control below"),
        ("holds", {"high": 1e-5}, "treated at most 1e-5, control above"),
        ("holds", {"high": 0.0}, "treated at most 0, control above"),
        ("holds", {"low": 180, "high": 320}, "treated from 180 to 320, control outside"),
        ("holds", {"low": 3, "high": 3}, "treated exactly 3, control not"),
        ("gains", {"margin": 0.3}, "paired gain of better over worse above 0.3"),
        ("gains", {"margin": -0.05}, "better less than 0.05 below worse, paired by seed"),
    ],
)
def test_judged_says_where_each_arm_must_be(form, numbers, shown):
    text = judged(pair(form=form), limit(**numbers))
    assert text == f"test accuracy (share): {shown} (measured)"


def test_judged_says_exactly_zero():
    text = judged(pair(probe=unit_spread), limit(high=0.0, kind="exact", unit="weight"))
    assert text == "unit spread (weight): treated exactly 0, control above (exact)"


def test_judged_says_the_share_of_seeds():
    text = judged(pair(probe=images_told_apart, form="rate"), limit(low=0.6))
    assert text == (
        "images told apart: on at least 60 % of treated seeds, on fewer control seeds (measured)"
    )


def test_judged_names_layer_and_case():
    probe = partial(residual_rank, layer="hidden3.weight")
    text = judged(pair(probe=probe, case="wide"), limit(high=49, unit="rank", kind="theorem"))
    assert text == (
        "residual rank of hidden3.weight, wide: treated at most 49, control above (theorem)"
    )


def test_judged_puts_a_relative_unit_behind_the_number():
    text = judged(pair(), limit(high=1e-5, unit="of the weight"))
    assert text == "test accuracy: treated at most 1e-5 of the weight, control above (measured)"


# --- references -----------------------------------------------------------------------------------


def test_a_reference_is_described_after_the_arms_that_are_compared_with_it():
    rates = (("hidden*", 0.25), ("output.bias", 2.0))
    treated, reference, control = (
        Arm(SMALL, he, Recipe(SGD(lr=lr), batch=32, steps=5, rates=rates[:count]))
        for lr, count in ((0.2, 2), (0.1, 0), (0.3, 1))
    )
    three = Pair(loss_difference, treated, control, "", "holds", reference)
    assert regime([three]) == (
        "ReLU network 784-64-10; 5 steps; batch 32; mnist5k; from He normal with zero biases. "
        "Treated: SGD (lr 0.2, x 0.25 for hidden*, x 2 for output.bias); "
        "control: SGD (lr 0.3, x 0.25 for hidden*). Reference: SGD (lr 0.1)."
    )
    assert judged(three, limit("exact", "nats", low=0.0, high=0.0)) == (
        "loss difference from the reference (nats): treated exactly 0, control not (exact)"
    )
