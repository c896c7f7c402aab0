"""Records of tensors' ways: made, compared, and refused; and what they see that losses do not."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from initcheck.arms import SGD, Adam, AdamW, Arm, Recipe
from initcheck.baselines.evidence import BaselineError
from initcheck.baselines.folder import Baselines
from initcheck.envelope.compare import CHAOS, FACTOR
from initcheck.envelope.twins import TWINS
from initcheck.faults import FAULTS
from initcheck.gate import reference, seeds
from initcheck.gate.sketched import ALONE
from initcheck.gate.sketching import PRODUCTS, following
from initcheck.gate.trainer import Laboratory
from initcheck.initializers import he, torch_default
from initcheck.networks import mlp
from initcheck.results import Drift
from initcheck.training.train import train
from tests.helpers import toy

SEEDS = seeds.reference()
PROJECT = Path(__file__).parents[2]
CLAIM = "one_more_layer_wakes_a_step[float32-momentum-relu]"
RECIPES = {
    "SGD": Recipe(SGD(lr=0.1, momentum=0.9), batch=8, steps=33),
    "AdamW": Recipe(AdamW(lr=0.01), batch=8, steps=33),
    "float64": Recipe(Adam(lr=0.01), batch=8, steps=9, dtype="float64"),
}
EVERY = pytest.mark.parametrize("name", RECIPES)


def arm_of(name):
    return toy.arm(recipe=RECIPES[name])


def trained(arm, drawn=SEEDS, **how):
    return train(arm, drawn, toy.data(), watch=following(SEEDS, arm.recipe.steps), **how)


@cache
def recorded(name):
    return record(arm_of(name))


def record(arm):
    """The record of an arm, as read back from a file."""
    twins = [trained(arm, list(SEEDS) * TWINS, jitter=reference.twin_jitter(arm))]
    if arm.recipe.dtype == "float32":
        twins.append(trained(replace(arm, recipe=replace(arm.recipe, dtype="float64"))))
    return json.loads(json.dumps(reference.record(arm, trained(arm), twins), allow_nan=False))


def judged(name, now=None, record=None):
    arm = arm_of(name)
    return reference.compare(arm, now or trained(arm), record or recorded(name))


def without_ways(record):
    return {key: value for key, value in record.items() if key != "ways"}


# --- unchanged


@EVERY
def test_a_repeated_run_is_at_a_distance_of_exactly_zero(name):
    departure = judged(name)
    assert (departure.r, departure.loss_r, departure.why_not) == (0, 0, "")


@EVERY
def test_every_tensor_of_every_seed_is_recorded_at_every_judged_step(name):
    record = recorded(name)
    assert {*record["ways"]} == {*trained(arm_of(name)).parameters}
    for way in record["ways"].values():
        assert len(way["envelope"]) == len(record["steps"])
        shape = (len(SEEDS), len(record["steps"]), PRODUCTS + 1)
        assert torch.tensor(way["sketches"]).shape == shape


@EVERY
@pytest.mark.parametrize("drawn", [SEEDS[:1], SEEDS[:2], SEEDS], ids=len)
def test_the_other_engine_stays_inside(name, drawn):
    departure = judged(name, trained(arm_of(name), drawn, engine="module"))
    assert departure.loss_r <= departure.r < FACTOR / 3
    assert departure.r > 0


def test_numbers_have_no_more_digits_than_their_envelope():
    digits = [
        len(f"{abs(product):e}".partition("e")[0].replace(".", "").rstrip("0"))
        for way in recorded("SGD")["ways"].values()
        for seed in way["sketches"] for *products, _ in seed for product in products
    ]  # fmt: skip
    assert sum(digits) / len(digits) < 8  # float64 would have 17


# --- changed


def under(fault, name):
    made = recorded(name)  # before the fault
    with FAULTS[fault].apply():
        return judged(name, trained(arm_of(name)), made)


def test_what_adam_normalizes_away_is_seen_in_the_tensors_and_named():
    """Gradients rounded to bfloat16 move a tensor long before they move a loss as far."""
    departure = under("gradients_in_bfloat16", "AdamW")
    assert departure.left
    assert departure.r > 10 * departure.loss_r
    assert departure.first_step == 1  # Adam's first step is its learning rate, for any gradient
    assert departure.tensor in trained(arm_of("AdamW")).parameters
    assert departure.tensor_r > FACTOR


@EVERY
def test_a_learning_rate_lower_by_a_thousandth_is_seen_after_the_first_update(name):
    departure = under("lr_lower_by_a_thousandth", name)
    assert departure.left
    assert departure.first_step == 0
    assert departure.r >= max(departure.loss_r, departure.tensor_r) > FACTOR


def test_the_tensor_that_left_first_is_named_with_its_step():
    name, changed = "SGD", "hidden2.bias"
    now = trained(arm_of(name))
    place = recorded(name)["steps"].index(4)
    for way in now.ways:
        way[changed][place, :-1] *= 1.01
        way["output.weight"][place + 1, :-1] *= 1.1
    departure = judged(name, now)
    assert (departure.first_step, departure.tensor) == (4, changed)
    assert departure.loss_r == 0
    assert departure.r > departure.tensor_r > FACTOR
    shown = Drift(
        verdict="left", r=departure.r, loss_r=departure.loss_r, tensor=departure.tensor,
        tensor_r=1234.4, first_step=departure.first_step,
    ).reason("the treated arm")  # fmt: skip
    assert "left its rounding envelope at step 4 in hidden2.bias by 1230 envelopes" in shown
    assert "of its losses alone 0, 10 allowed" in shown


def test_a_loss_that_leaves_before_any_tensor_is_reported_without_one():
    now = trained(arm_of("SGD"))
    losses = now.losses.clone()
    losses[:, 0] *= 1.01
    departure = judged("SGD", replace(now, losses=losses))
    assert (departure.first_step, departure.tensor) == (0, None)
    assert departure.r == departure.loss_r > FACTOR


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, -1])
def test_a_tensor_that_is_not_finite_leaves_it_even_where_it_is_not_judged(bad, place):
    record = copy.deepcopy(recorded("SGD"))
    record["ways"]["output.bias"]["envelope"] = [1e9] * len(record["steps"])
    now = trained(arm_of("SGD"))
    now.ways[1]["output.bias"][place] = bad
    departure = judged("SGD", now, record)
    assert (departure.r, departure.tensor) == (math.inf, "output.bias")
    assert departure.first_step == record["steps"][place]


# --- what the other of the two cannot judge


def test_a_record_without_sketches_is_judged_by_its_losses_alone():
    old = without_ways(recorded("SGD"))
    departure = judged("SGD", record=old)
    assert (departure.r, departure.loss_r, departure.why_not) == (0, 0, ALONE)
    with FAULTS["lr_lower_by_a_thousandth"].apply():
        departure = judged("SGD", trained(arm_of("SGD")), old)
    assert departure.left
    assert departure.tensor is None


def test_a_run_that_was_not_sketched_is_judged_by_its_losses_alone():
    departure = judged("SGD", replace(trained(arm_of("SGD")), ways=()))
    assert (departure.r, departure.loss_r) == (0, 0)


def test_a_loss_that_hardly_moves_leaves_the_tensors_judged():
    """An arm of one step has a single loss, before its update: its ways are what it does."""
    arm = toy.arm(recipe=Recipe(SGD(lr=0.1), 8, 1))
    made = record(arm)
    departure = reference.compare(arm, trained(arm), made)
    assert (departure.r, departure.loss_r, departure.why_not) == (0, None, "")
    assert reference.compare(arm, trained(arm), without_ways(made)).r is None
    with FAULTS["lr_lower_by_a_thousandth"].apply():
        assert reference.compare(arm, trained(arm), made).left


def test_a_chaotic_loss_leaves_the_tensors_judged_and_the_reverse():
    chaotic = recorded("SGD") | {"envelope": [2 * CHAOS] * len(recorded("SGD")["steps"])}
    departure = judged("SGD", record=chaotic)
    assert (departure.r, departure.loss_r) == (0, None)
    wide = copy.deepcopy(recorded("SGD"))
    for way in wide["ways"].values():
        way["envelope"] = [1e9] * len(wide["steps"])
    departure = judged("SGD", record=wide)
    assert (departure.r, departure.loss_r) == (0, 0)
    departure = judged("SGD", record=wide | {"envelope": chaotic["envelope"]})
    assert departure.r is None
    assert departure.why_not


def test_tensors_that_stand_still_prove_nothing_but_must_not_move_now():
    arm = toy.arm(recipe=Recipe(SGD(lr=0.0), 8, 1))
    made = record(arm)
    departure = reference.compare(arm, trained(arm), made)
    assert departure.r is None
    assert "hardly moves" in departure.why_not
    now = trained(arm)
    for way in now.ways:
        way["output.bias"][0, :-1] = 1.0
    departure = reference.compare(arm, now, made)
    assert departure.left
    assert departure.tensor == "output.bias"


def test_an_arm_that_diverges_is_recorded_as_far_as_it_is_finite():
    arm = toy.arm(recipe=Recipe(SGD(lr=1e4, momentum=0.9), 8, 40), initializer=he)
    made = record(arm)
    assert not trained(arm).losses.isfinite().all()
    assert all(len(way["envelope"]) <= len(made["steps"]) for way in made["ways"].values())
    assert not reference.compare(arm, trained(arm), made).left


# --- records that cannot be this arm's


def damaged(change):
    record = copy.deepcopy(recorded("SGD"))
    change(record["ways"])
    return record


def narrowed(ways):
    for way in ways.values():
        way["sketches"] = [[row[1:] for row in seed] for seed in way["sketches"]]


def cut(ways):
    way = ways["output.bias"]
    way["envelope"].pop()
    for seed in way["sketches"]:
        seed.pop()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ways: ways.pop("output.bias"), "lacks a sketch of its tensor 'output.bias' at"),
        (cut, "lacks a sketch of its tensor 'output.bias' at step 32"),
        (
            lambda ways: ways.update(another=ways["output.bias"]),
            "has sketches of a tensor 'another', and this arm has no such tensor",
        ),
        (narrowed, "with another number of products"),
    ],
)
def test_a_record_of_other_tensors_is_refused(change, sentence):
    with pytest.raises(BaselineError, match=sentence):
        judged("SGD", record=damaged(change))


# --- a claim's own arm and its evidence


def test_rounded_gradients_that_the_losses_of_a_claims_arm_miss_are_seen_in_its_tensors():
    recipe = Recipe(SGD(lr=0.1, momentum=0.9), batch=32, steps=5)
    arm = Arm(mlp(784, 64, 32, 32, 10), torch_default, recipe)
    entry = Baselines(PROJECT / "baselines").recorded(CLAIM, {"device type": "cpu", "device": ""})
    made = entry["arms"][str(arm)]["reference"]
    same = reference.compare(arm, Laboratory().trained(arm, SEEDS, "cpu"), made)
    assert same.r < 1
    with FAULTS["gradients_in_bfloat16"].apply():
        departure = reference.compare(arm, Laboratory().trained(arm, SEEDS, "cpu"), made)
    assert departure.loss_r < 3
    assert departure.r > 100
    assert departure.first_step == 0
    assert departure.tensor in arm.network.fresh(0).state_dict()
