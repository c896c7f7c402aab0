"""Fingerprints show where a start, an order of images or a layer differs from the record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from initcheck.arms import SGD, Recipe
from initcheck.envelope.compare import FACTOR
from initcheck.envelope.fingerprints import first_difference, start_marks, start_tolerance
from initcheck.gate.reference import compare, layers_at_start
from initcheck.initializers import he, ones
from initcheck.networks import Network
from initcheck.training import train as training
from initcheck.training.train import train
from tests.helpers import toy
from tests.helpers.recorded import EPS, SEEDS, case, recorded

# --- the start


def with_start(it, name, change):
    start = {key: p.clone() for key, p in it.trained.start.items()}
    start[name] = change(start[name])
    return replace(it.trained, start=start)


def entry(by):
    """Move one entry of the second seed by this many norms."""

    def change(p):
        p = p.clone()
        p[1].view(-1)[-1] += by * p[1].norm()
        return p

    return change


def spoiled(p):
    p = p.clone()
    p[1].view(-1)[0] = torch.nan
    return p


CHANGES = {
    "scaled": lambda p: p * 1.001,
    "negated": lambda p: -p,
    "one entry": entry(1e-3),
    "one entry lower": entry(-1e-3),
    "reversed": lambda p: p.flip(-1),
    "NaN": spoiled,
    "zeroed": torch.zeros_like,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["hidden1.weight", "hidden2.weight", "output.weight"])
def test_a_changed_start_is_reported_first(name, change):
    it = case("Adam")
    departure = it.judged(with_start(it, name, CHANGES[change]))
    assert (departure.start, departure.first_layer, departure.r) == (False, name, None)
    assert departure.why_not == "the start has changed"


def test_the_first_changed_layer_is_named():
    it = case("Adam")
    both = {name: p * 1.001 if "weight" in name else p for name, p in it.trained.start.items()}
    assert it.judged(replace(it.trained, start=both)).first_layer == "hidden1.weight"


def test_a_changed_bias_that_was_zero_is_found():
    it = case("Adam")  # He's biases are zero: there is no norm to compare with
    departure = it.judged(with_start(it, "hidden2.bias", lambda p: p + 1e-12))
    assert departure.first_layer == "hidden2.bias"


@pytest.mark.parametrize("missing", ["now", "then"])
def test_an_added_or_removed_parameter_is_found(missing):
    it = case("Adam")
    name = "output.bias"
    if missing == "now":
        start = {key: p for key, p in it.trained.start.items() if key != name}
        departure = it.judged(replace(it.trained, start=start))
    else:
        marks = {key: m for key, m in it.recorded["start"].items() if key != name}
        departure = compare(it.arm, it.trained, it.recorded | {"start": marks})
    assert departure.first_layer == name


def with_order(it, first_batch):
    return it.judged(replace(it.trained, first_batch=first_batch))


@pytest.mark.parametrize(
    "change",
    [lambda b: b.flip(1), lambda b: b + 1, lambda b: b.roll(1, 0)],
    ids=["order in the batch", "other images", "order of seeds"],
)
def test_other_images_in_the_first_batch_are_found(change):
    it = case("Adam")
    departure = with_order(it, change(it.trained.first_batch))
    assert (departure.start, departure.alike, departure.r) == (False, False, None)
    assert departure.first_layer is None
    assert departure.why_not == "the data order has changed"


def test_the_first_batch_is_the_one_that_was_trained_on(monkeypatch):
    """It is what the engine received; it is not computed again."""
    it = case("Adam")
    stored = torch.arange(it.arm.recipe.steps * 8).view(-1, 8) % toy.TRAIN
    monkeypatch.setattr(training, "order", lambda *_: stored)
    departure = it.judged(it.again())
    assert departure.why_not == "the data order has changed"
    assert departure.alike


def test_an_order_that_is_not_recorded_is_not_compared():
    it = case("Adam")
    older = {key: value for key, value in it.recorded.items() if key != "order"}
    flipped = replace(it.trained, first_batch=it.trained.first_batch.flip(1))
    assert compare(it.arm, flipped, older).start


def test_an_arm_without_steps_has_no_order():
    it = recorded(toy.arm(recipe=Recipe(SGD(lr=0.1), 8, 0)), toy.data())
    assert it.judged(it.trained).start


def first_seed(tensors):
    return {name: p[:1].expand_as(p) for name, p in tensors.items()}


def test_identical_seeds_are_distinguished_from_another_start():
    it = case("Adam")
    alike = replace(it.trained, start=first_seed(it.trained.start))
    assert it.judged(alike).alike
    doubled = {name: 2 * p for name, p in it.trained.start.items()}
    assert not it.judged(replace(it.trained, start=doubled)).alike


def test_seeds_that_are_identical_in_the_record_may_be_identical():
    it = recorded(toy.arm(initializer=ones), toy.data())
    larger = {name: p + 1 for name, p in it.trained.start.items()}
    departure = it.judged(replace(it.trained, start=larger))
    assert (departure.start, departure.alike) == (False, False)


def test_identical_seeds_in_one_layer_are_not_identical_seeds():
    it = case("Adam")
    start = it.trained.start | first_seed({"hidden1.weight": it.trained.start["hidden1.weight"]})
    departure = it.judged(replace(it.trained, start=start))
    assert (departure.first_layer, departure.alike) == ("hidden1.weight", False)


@pytest.mark.parametrize("by", [1e-8, 1.8e-7])
def test_a_start_changed_by_rounding_is_the_same_start(by):
    it = case("Adam")
    double = {name: p.double() * (1 + by) for name, p in it.trained.start.items()}
    assert it.judged(replace(it.trained, start=double)).start


def test_a_start_changed_by_rounding_trains_inside_the_envelope():
    it = case("Adam")
    moved = replace(he, named=(("hidden1.weight", nudged_),))
    departure = it.judged(it.again(replace(it.arm, initializer=moved)))
    assert departure.start
    assert 0 < departure.r < FACTOR


@pytest.mark.parametrize(("dtype", "same"), [(torch.bfloat16, True), (torch.float32, False)])
def test_numbers_that_round_the_other_way_are_the_same_start_in_low_precision(dtype, same):
    """One number in 17,000 does, from one instruction set to another."""
    drawn = torch.randn(1, 300, 300, generator=torch.Generator().manual_seed(0)).bfloat16()
    other = drawn.clone().flatten()
    other[::17_000] *= 1 + 2 * torch.finfo(torch.bfloat16).eps
    marks = [start_marks({"w": each.view(1, -1)}) for each in (drawn, other)]
    found = first_difference(*marks, 1, start_tolerance(dtype))
    assert (found is None) == same


def test_another_gain_is_another_start_in_low_precision():
    drawn = torch.randn(1, 300, 300, generator=torch.Generator().manual_seed(0))
    marks = [start_marks({"w": (gain * drawn).bfloat16()}) for gain in (1, 1.01)]
    assert first_difference(*marks, 1, start_tolerance(torch.bfloat16)) == "w"


def nudged_(tensor, generator):
    """He's weights, each changed by at most one unit in the last place."""
    he.weights(tensor, generator)
    return tensor.mul_(1 + 0.6 * EPS)


def test_a_seeds_fingerprint_does_not_depend_on_the_other_seeds():
    it = case("Adam")
    alone = start_marks({name: p[2:3] for name, p in it.trained.start.items()})
    for name, marks in it.recorded["start"].items():
        assert np.allclose(alone[name], marks[2:3], rtol=1e-6, atol=0)  # recorded with 7 digits


def test_a_scalar_parameter_has_a_fingerprint():
    it = toy.default_arm(Network("residual", toy.Residual))
    marks = start_marks(train(it, SEEDS[:2], toy.data()).start)
    assert np.abs(marks["gain"]).tolist() == [[0.5, 0.5]] * 2


# --- layers at the start


def test_layers_are_recorded_on_the_first_batch():
    it = case("Adam")
    layers = it.recorded["layers"]
    assert list(layers)[:4] == ["flatten", "hidden1", "relu1", "hidden2"]
    seed = SEEDS[1]
    module = it.arm.build(seed)
    images = training.order(seed, toy.TRAIN, it.arm.recipe)[0]
    x = it.data.train_inputs[images].flatten(1).numpy()
    hidden = x @ module.hidden1.weight.detach().numpy().T
    assert layers["hidden1"][1] == pytest.approx([np.square(hidden).mean()], rel=1e-5)
    assert layers["relu1"][1] == pytest.approx([np.square(hidden.clip(0)).mean()], rel=1e-5)


def test_gradients_are_those_of_the_first_step():
    plain = toy.arm(recipe=Recipe(SGD(lr=1.0), 8, 1, dtype="float64"))
    trained = train(plain, SEEDS[:2], toy.data())
    layers = layers_at_start(plain, trained)
    for name, start in trained.start.items():
        step = (start - trained.parameters[name]).flatten(1).norm(dim=1)  # lr 1: the gradient
        assert layers[f"{name} gradient"] == [[pytest.approx(s, rel=1e-9)] for s in step.tolist()]


class Talkative(toy.Dropping):
    """Drops units, passes a pair between layers, and has an empty shortcut."""

    def __init__(self):
        super().__init__()
        self.nothing = nn.Sequential()
        self.pool = nn.MaxPool2d(2, return_indices=True)

    def forward(self, x):
        pooled, _ = self.pool(x)
        return super().forward(self.nothing(x)) + pooled.mean()


def test_recording_layers_draws_no_random_numbers_and_accepts_any_output():
    arm = toy.default_arm(Network("talkative", Talkative))
    trained = train(arm, SEEDS[:2], toy.data())
    before = torch.get_rng_state()
    layers = layers_at_start(arm, trained)
    assert torch.equal(torch.get_rng_state(), before)
    assert layers == layers_at_start(arm, trained)
    assert "pool" not in layers
    assert "layers.1" in layers
    assert "nothing" in layers
