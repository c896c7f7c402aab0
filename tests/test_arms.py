"""Recipes and arms: frozen values, one stream per purpose, and every image once per epoch."""

from __future__ import annotations

import pytest
import torch

from initcheck.arms import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Arm,
    Recipe,
    RMSprop,
    derived,
    optimizer,
    order,
    stream,
)
from initcheck.initializers import he, torch_default, zeros, zeros_
from initcheck.networks import mlp
from tests.helpers import toy

PURPOSES = ("constructor", "weights", "order", "twin", "training")
IMAGES = 50


def recipe(batch=8, steps=18, **more):
    return Recipe(SGD(lr=0.1), batch=batch, steps=steps, **more)


# --- optimizers


@pytest.mark.parametrize(
    "make", [SGD, Adam, AdamW, RMSprop, Adagrad], ids=lambda make: make.args[0]
)
def test_an_optimizer_is_the_one_of_torch(make):
    made = make(lr=0.5, weight_decay=0.25).over([torch.zeros(3, requires_grad=True)])
    assert type(made) is getattr(torch.optim, make.args[0])
    assert made.defaults["lr"] == 0.5
    assert made.defaults["weight_decay"] == 0.25


@pytest.mark.parametrize("name", ["Adan", "adam", "Optimizers", "lr_scheduler", ""])
def test_an_unknown_optimizer_is_refused(name):
    with pytest.raises(ValueError, match=f"optimizer '{name}' was requested"):
        optimizer(name)


def test_the_order_of_options_does_not_matter():
    assert SGD(lr=0.1, momentum=0.9) == SGD(momentum=0.9, lr=0.1)
    assert str(SGD(momentum=0.9, lr=0.1)) == "SGD(lr=0.1, momentum=0.9)"


# --- recipes

WRONG = {
    "batch": ({"batch": 0}, "batch >= 1"),
    "steps": ({"steps": -1}, "steps >= 0"),
    "dtype": ({"dtype": "float16"}, "'float16' is not one of float32, float64, bfloat16"),
    "rates": ({"rates": (("hidden*", -0.5),)}, r"'hidden\*' the factor -0\.5, but .* at least 0"),
    "kept at the start": ({"keep_at": (0,)}, r"keep_at is \(0,\), but .* must be from 1 to 18"),
    "kept after the end": (
        {"keep_at": (5, 19)},
        r"keep_at is \(5, 19\), but .* must be from 1 to 18",
    ),
}


@pytest.mark.parametrize(("options", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_recipe_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        recipe(**options)


# --- arms

ARM = Arm(mlp(20, 16, 4), he, recipe(), data="toy")
OTHERS = {
    "network": Arm(mlp(20, 15, 4), he, recipe(), data="toy"),
    "initializer": Arm(mlp(20, 16, 4), zeros, recipe(), data="toy"),
    "optimizer": Arm(mlp(20, 16, 4), he, Recipe(SGD(lr=0.2), 8, 18), data="toy"),
    "batch": Arm(mlp(20, 16, 4), he, recipe(batch=9), data="toy"),
    "steps": Arm(mlp(20, 16, 4), he, recipe(steps=19), data="toy"),
    "dtype": Arm(mlp(20, 16, 4), he, recipe(dtype="float64"), data="toy"),
    "data": Arm(mlp(20, 16, 4), he, recipe()),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_different_arms_have_different_texts(other):
    assert other != ARM
    assert str(other) != str(ARM)


def test_an_arms_name_does_not_change_it():
    named = Arm(mlp(20, 16, 4), he, recipe(), data="toy", name="the good one")
    assert named == ARM
    assert hash(named) == hash(ARM)
    assert (named.label, ARM.label) == ("the good one", "he")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_module_is_built_in_training_mode(dtype):
    module = toy.arm(recipe=recipe(dtype=dtype)).build(3)
    assert module.training
    assert {p.dtype for p in module.parameters()} == {getattr(torch, dtype)}


def test_both_dtypes_start_at_the_same_numbers():
    single = toy.default_arm(toy.SMALL).build(3).hidden1.weight
    double = toy.default_arm(toy.SMALL, recipe(dtype="float64")).build(3).hidden1.weight
    assert torch.equal(single.double(), double)


def test_parameters_that_an_initializer_skips_keep_their_default_start():
    plain = toy.arm(initializer=torch_default).build(3)
    zeroed = toy.arm(initializer=torch_default.but("hidden1.weight", zeros_)).build(3)
    assert not zeroed.hidden1.weight.any()
    assert torch.equal(zeroed.hidden1.bias, plain.hidden1.bias)
    assert torch.equal(zeroed.hidden2.weight, plain.hidden2.weight)


# --- streams


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_every_purpose_has_its_own_stream(seed):
    seeds = {derived(s, purpose) for s in (seed, 12345) for purpose in PURPOSES}
    assert len(seeds) == 2 * len(PURPOSES)
    assert all(0 <= drawn < 2**63 for drawn in seeds)


def test_a_stream_is_the_same_each_time():
    first, again = (torch.rand(3, generator=stream(7, "weights")) for _ in range(2))
    assert torch.equal(first, again)


# --- the order of the data


def epochs(seed, batch=8, count=3):
    per_epoch = IMAGES // batch
    drawn = order(seed, IMAGES, recipe(batch, per_epoch * count))
    return drawn.view(count, per_epoch * batch)


@pytest.mark.parametrize("batch", [1, 7, 8, 25, 26, 49, 50])
def test_an_epoch_shows_no_image_twice_and_drops_an_incomplete_batch(batch):
    drawn = epochs(3, batch)
    assert drawn.shape[1] == IMAGES // batch * batch
    for epoch in drawn:
        assert len(epoch.unique()) == len(epoch)
    assert drawn.min() >= 0
    assert drawn.max() < IMAGES


def test_an_epoch_that_divides_evenly_shows_every_image():
    for epoch in epochs(3, batch=10):
        assert torch.equal(epoch.sort().values, torch.arange(IMAGES))


def test_epochs_and_seeds_differ_in_order():
    mixed = [*epochs(3), *epochs(4)]
    assert len({tuple(epoch.tolist()) for epoch in mixed}) == 6


def test_each_epoch_drops_other_images():
    left_out = [set(range(IMAGES)) - set(epoch.tolist()) for epoch in epochs(3)]
    assert left_out[0] != left_out[1]


@pytest.mark.parametrize("steps", [0, 1, 6, 7, 17])
def test_fewer_steps_see_the_same_images_first(steps):
    drawn = order(3, IMAGES, recipe(steps=steps))
    assert drawn.shape == (steps, 8)
    assert drawn.dtype == torch.int64
    assert torch.equal(drawn, order(3, IMAGES, recipe(steps=18))[:steps])


def test_a_batch_larger_than_the_data_is_refused():
    order(3, IMAGES, recipe(batch=IMAGES))
    with pytest.raises(ValueError, match="batch of 51 images, but there are only 50"):
        order(3, IMAGES, recipe(batch=IMAGES + 1))
