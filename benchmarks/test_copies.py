"""Copies: shards, units and experts that start equal stay equal."""

from dataclasses import replace
from functools import partial

import pytest

from initcheck import SGD, Adam, Arm, Recipe, claim
from initcheck.initializers import (
    every,
    he_normal_,
    lecun_normal_,
    normal_,
    torch_default,
    zeros_,
)
from initcheck.initializers.copied import copied_, shards_
from initcheck.networks import pooled
from initcheck.networks.experts import EXPERTS, mixture
from initcheck.networks.widened import widened
from initcheck.notebooks.arms import START
from initcheck.probes import test_accuracy
from initcheck.probes.adapters import base_gap
from initcheck.probes.copies import gap_between_parts, weight_rank
from initcheck.probes.units import movement

MOMENTUM = SGD(lr=0.1, momentum=0.9)
SOME = Recipe(MOMENTUM, batch=32, steps=60)

# shards
SHARDS, STD = 4, 0.05
SHARDED = pooled(128, 10, by=2)  # 196 pixels; 4 shards of 32 hidden units
ALONG = {"hidden1.weight": 0, "output.weight": 1}  # the dimension along which a weight is sharded
ADAM = Recipe(Adam(lr=1e-2), batch=32, steps=60)


def sharded(draw, name):
    """Both weights drawn in shards, biases zero."""
    start = every(normal_(STD), zeros_, name)
    for layer, dim in ALONG.items():
        start = start.but(layer, draw(normal_(STD), SHARDS, along=dim))
    return replace(start, name=name)


SEEDS = sharded(shards_, "4 shards from 4 seeds")
ONE_SEED = sharded(copied_, "4 shards from one seed")

# experts
STACKS = {"up": 0, "down": 0}  # the dimension of the experts
ROUTER = ("router.weight",)
COPIES = every(copied_(he_normal_, EXPERTS)).but("router.weight", zeros_)
COPIES = replace(COPIES, name="experts copied and router zero")
ROUTED = replace(COPIES.but("router.weight", lecun_normal_), name="experts copied and router drawn")
DRAWN = every(shards_(he_normal_, EXPERTS)).but("router.weight", lecun_normal_)
DRAWN = replace(DRAWN, name="experts and router drawn")

# widening
NARROW = pooled(16, 10, by=4)  # 49 pixels
UNITS = {"hidden1.weight": 0, "hidden1.bias": 0}
OPTIMIZERS = {"momentum": MOMENTUM, "adam": Adam(lr=1e-2)}


@claim(
    source="Megatron-LM, model-parallel random state; ms-swift #7944; c-shards-one-seed",
    kind="theorem",
)
def test_sharded_start_has_full_rank(verdict):
    """A layer drawn in shards has full rank if each shard has its own seed.

    Drawn from one seed, as in several training frameworks before they were fixed, the shards are
    copies of each other.
    """
    verdict.holds(
        partial(weight_rank, layer="hidden1.weight"),
        treated=Arm(SHARDED, SEEDS, START),
        control=Arm(SHARDED, ONE_SEED, START),
    )


@claim(
    source="Megatron-LM, model-parallel random state; InternLM #405; c-shards-one-seed",
    kind="exact",
)
def test_shards_from_one_seed_stay_copies(verdict):
    """Under Adam, a hidden layer whose shards are drawn from one seed stays copies of a shard.

    The output weights are sharded too, so equal units get equal gradients.
    """
    arms = {"treated": Arm(SHARDED, ONE_SEED, ADAM), "control": Arm(SHARDED, SEEDS, ADAM)}
    verdict.holds(partial(gap_between_parts, parts=SHARDS, along=ALONG), **arms)
    verdict.holds(partial(weight_rank, layer="hidden1.weight"), **arms)


@claim(source="arXiv 2212.05055, sparse upcycling; vmoe #218; c-moe-clones", kind="exact")
def test_copied_experts_never_part(verdict):
    """Copies of one expert under a router of zeros stay copies, and the router stays zero.

    All experts give the same answer, so no weight of an answer has a gradient. A random router
    parts the experts.
    """
    copied = Arm(mixture(), COPIES, SOME)
    routed = Arm(mixture(), ROUTED, SOME)
    verdict.holds(
        partial(gap_between_parts, parts=EXPERTS, along=STACKS), treated=copied, control=routed
    )
    verdict.holds(partial(movement, names=ROUTER), treated=copied, control=routed)


@claim(source="derived; minimind #858; c-top1-router", kind="exact")
def test_normalized_top_1_gate_starves_its_router(verdict):
    """A top-1 gate that is divided by its own sum gives the router no gradient but rounding.

    p / p is one, whatever p is. Not divided, or with the two largest, the router learns.
    """
    treated = Arm(mixture(1, normalized=True), DRAWN, SOME)
    moved = partial(movement, names=ROUTER)
    raw = Arm(mixture(1), DRAWN, SOME)
    two = Arm(mixture(2, normalized=True), DRAWN, SOME)
    verdict.holds(moved, treated=treated, control=raw, case="not divided")
    verdict.holds(moved, treated=treated, control=two, case="top-2")


@claim(source="arXiv 2101.03961, eq. 2; minimind #858; c-top1-router", kind="measured")
def test_top_1_gate_trains_its_router(verdict):
    """The router of a top-1 mixture learns if the gate keeps the probability of the expert."""
    verdict.holds(
        partial(movement, names=ROUTER),
        treated=Arm(mixture(1), DRAWN, SOME),
        control=Arm(mixture(1, normalized=True), DRAWN, SOME),
    )


@claim(source="arXiv 1511.05641, section 3.3.2; c-net2wider-clones", kind="exact")
def test_widened_network_starts_as_its_base(verdict):
    """A network with every unit twice starts as its base if both share the outgoing weights."""
    verdict.holds(
        base_gap,
        treated=Arm(widened(NARROW), torch_default, START),
        control=Arm(widened(NARROW, divided=False), torch_default, START),
    )


@claim(source="arXiv 1511.05641, section 3.3.2; c-net2wider-clones, b-clone-unit", kind="exact")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_copied_units_never_part(verdict, optimizer):
    """Under SGD and Adam, copies of a unit with equal outgoing weights never part.

    With unequal shares of the outgoing weights they do.
    """
    recipe = Recipe(OPTIMIZERS[optimizer], batch=32, steps=60)
    verdict.holds(
        partial(gap_between_parts, parts=2, along=UNITS),
        treated=Arm(widened(NARROW), torch_default, recipe),
        control=Arm(widened(NARROW, 0.3), torch_default, recipe),
    )


@claim(source="measured here; c-shards-one-seed", kind="measured")
def test_accuracy_hides_copied_shards(verdict):
    """Under Adam, a layer of four equal shards is nearly as accurate as one of four different."""
    verdict.gains(
        test_accuracy,
        better=Arm(SHARDED, ONE_SEED, ADAM),
        worse=Arm(SHARDED, SEEDS, ADAM),
    )
