"""The rounding envelope lets innocent changes pass and names what has changed training."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
import toy
from torch import nn

from initcheck import training
from initcheck.envelope import (
    CHAOS,
    FACTOR,
    FLOOR,
    compare,
    growth,
    record,
    steps_judged,
)
from initcheck.initializers import every, he, normal_, ones, zeros
from initcheck.marks import BEYOND, layers_at_start, start_marks
from initcheck.networks import Network, mlp
from initcheck.recipes import SGD, Adam, Recipe
from initcheck.seeds import reference
from initcheck.training import train
from initcheck.twins import TWINS, twin_jitter

SEEDS = reference()
EPS = torch.finfo(torch.float32).eps
NOTEBOOKS = mlp(784, 64, 32, 32, 10)  # notebook 001's network; here on ten noisy images


@cache
def noisy_images():
    """As the toy data, in the notebook's size."""
    generator = torch.Generator().manual_seed(5)
    centres = torch.rand(10, 1, 28, 28, generator=generator)
    labels = torch.randint(10, (400,), generator=generator)
    inputs = (centres[labels] + torch.rand(400, 1, 28, 28, generator=generator)) / 2
    return replace(
        toy.data(), classes=10,
        train_inputs=inputs, train_targets=labels, test_inputs=inputs, test_targets=labels,
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """An arm, its data and what was recorded of it, as it comes back from a file."""

    arm: object
    data: object
    trained: object
    recorded: dict

    def again(self, arm=None, **how):
        return train(arm or self.arm, SEEDS, self.data, **how)

    def judged(self, trained):
        return compare(self.arm, trained, self.recorded)


def recorded(arm, data):
    trained = train(arm, SEEDS, data)
    twins = train(arm, list(SEEDS) * TWINS, data, jitter=twin_jitter(arm))
    precise = train(precisely(arm), SEEDS, data)
    text = json.dumps(record(arm, trained, [twins, precise]), allow_nan=False)
    return Case(arm, data, trained, json.loads(text))


def precisely(arm):
    """The same arm in float64."""
    return replace(arm, recipe=replace(arm.recipe, dtype="float64"))


@cache
def case(name):
    """A recorded arm, once a session."""
    if name == "notebook 001":
        # Between steps 32 and 64, 17 of 64 sets of four runs that differ by rounding alone leave
        # the envelope of 32 twins at once, all for the same r = 1,236.
        return recorded(toy.arm(NOTEBOOKS, Recipe(Adam(lr=1e-2), 32, 32)), noisy_images())
    optimizer = {"Adam": Adam(lr=1e-2), "SGD": SGD(lr=0.1, momentum=0.9)}[name]
    return recorded(toy.arm(recipe=Recipe(optimizer, 8, 64)), toy.data())


CASES = pytest.mark.parametrize("name", ["Adam", "SGD", "notebook 001"])


# --- which steps


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 9, 64, 65, 150])
def test_steps_judged_are_the_powers_of_two_and_both_ends(steps):
    slow = [s for s in range(steps) if s in (0, steps - 1) or s.bit_count() == 1]
    assert steps_judged(steps) == slow


# --- the envelope


def slow_growth(losses, twins, eps):
    """The envelope by loops: losses (S, K), twins (T * S, K), in numpy."""
    envelope, largest = [], FLOOR * eps
    for k in range(losses.shape[1]):
        for row, twin in enumerate(twins):
            before = losses[row % len(losses), k]
            largest = max(largest, abs(twin[k] - before) / abs(before))
        envelope.append(largest)
    return envelope


@pytest.mark.parametrize("scale", [0.0, 1e-8, 1e-6, 1e-2])
def test_growth_is_the_largest_distance_of_twins_so_far(scale):
    generator = torch.Generator().manual_seed(1)
    losses = 1 + torch.rand(3, 9, generator=generator, dtype=torch.float64)
    noise = torch.randn(6, 9, generator=generator, dtype=torch.float64)
    twins = losses.repeat(2, 1) * (1 + scale * noise)
    found = growth(losses, twins, EPS)
    assert found.tolist() == pytest.approx(slow_growth(losses.numpy(), twins.numpy(), EPS))
    assert (found.diff() >= 0).all()
    assert (found >= FLOOR * EPS).all()


def test_each_twin_is_compared_with_its_own_seed():
    losses = torch.tensor([[1.0], [5.0]]).double()
    assert growth(losses, losses.repeat(3, 1), EPS).tolist() == [FLOOR * EPS]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_twin_that_is_not_finite_makes_all_later_steps_chaotic(bad):
    losses = torch.ones(2, 4).double()
    twins = losses.repeat(2, 1)
    twins[1, 2] = bad
    assert growth(losses, twins, EPS).tolist() == [FLOOR * EPS] * 2 + [BEYOND] * 2


@CASES
def test_a_recorded_envelope_grows_from_its_floor_and_is_not_chaotic(name):
    envelope = np.array(case(name).recorded["envelope"])
    assert FLOOR * EPS <= envelope[0] < 100 * EPS
    assert (np.diff(envelope) >= 0).all()
    assert (envelope < CHAOS).mean() > 0.5


# --- what is innocent


@CASES
def test_a_run_lies_on_its_own_record(name):
    departure = case(name).judged(case(name).trained)
    assert departure.r == 0
    assert not departure.left
    assert departure.start


def in_float64(it, monkeypatch):
    return it.again(precisely(it.arm))


def without_onednn(it, monkeypatch):
    with torch.backends.mkldnn.flags(enabled=False):
        return it.again()


def one_at_a_time(it, monkeypatch):
    monkeypatch.setattr(training, "MOST_REPLICAS", 1)
    return it.again()


def by_plain_modules(it, monkeypatch):
    return it.again(engine="module")


INNOCENT = [in_float64, without_onednn, one_at_a_time, by_plain_modules]


@CASES
@pytest.mark.parametrize("change", INNOCENT)
@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # said by the switch of oneDNN
def test_innocent_changes_stay_inside(name, change, monkeypatch):
    departure = case(name).judged(change(case(name), monkeypatch))
    assert departure.start
    assert departure.r is not None
    assert departure.r < FACTOR / 2


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fewer_seeds_are_judged_by_the_same_record(count):
    it = case("Adam")
    departure = it.judged(train(it.arm, SEEDS[:count], it.data, engine="module"))
    assert 0 < departure.r < FACTOR


def all_zero_and_balanced():
    """Every batch holds as many images of each class, so that an all-zero network has no gradient.

    Whatever rounding leaves of it, Adam scales up.
    """
    data = toy.data()
    labels = torch.arange(len(data.train_targets)) % toy.CLASSES
    return recorded(
        toy.arm(recipe=Recipe(Adam(lr=1e-2), len(labels), 32), initializer=zeros),
        replace(data, train_targets=labels),
    )


def all_one():
    """Logits are equal in the millions: which is largest hangs on rounding."""
    wide = mlp(20, 100, 100, 100, toy.CLASSES)
    return recorded(toy.arm(wide, Recipe(Adam(lr=1e-2), 8, 16), ones), toy.data())


@pytest.mark.parametrize("make", [all_zero_and_balanced, all_one])
@pytest.mark.parametrize("change", INNOCENT)
@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # said by the switch of oneDNN
def test_what_rounding_alone_decides_is_not_called_a_drift(make, change, monkeypatch):
    it = make()
    departure = it.judged(change(it, monkeypatch))
    assert departure.start
    assert not departure.left


def test_a_start_whose_loss_rounding_decides_is_not_judged():
    departure = all_one().judged(all_one().trained)
    assert departure.r is None
    assert "rounding alone" in departure.why_not


def test_seeds_beyond_the_recorded_ones_are_not_judged():
    it = case("Adam")
    losses = torch.cat([it.trained.losses, torch.full((1, 64), torch.nan).double()])
    start = {name: torch.cat([p, p[:1] + 1]) for name, p in it.trained.start.items()}
    more = replace(it.trained, seeds=(*SEEDS, 99), losses=losses, start=start)
    assert it.judged(more).r == 0


# --- what has changed training


def slower(arm):
    rate = dict(arm.recipe.optimizer.options)["lr"]
    make = {"Adam": Adam, "SGD": SGD}[arm.recipe.optimizer.name]
    options = dict(arm.recipe.optimizer.options) | {"lr": rate * 0.999}
    return replace(arm, recipe=replace(arm.recipe, optimizer=make(**options)))


@CASES
def test_a_learning_rate_off_by_a_thousandth_is_noticed(name):
    it = case(name)
    departure = it.judged(it.again(slower(it.arm)))
    assert departure.left
    assert departure.r > 10 * FACTOR
    assert departure.first_step in (1, 2)  # the loss before the first step is the same
    assert departure.first_layer is None  # and so is every activation and gradient there


def leaky():
    module = toy.SMALL.build()
    module.relu1 = nn.LeakyReLU(0.1)
    return module


def test_another_layer_is_named():
    it = case("Adam")
    changed = replace(it.arm, network=Network("leaky", leaky))
    departure = compare(changed, it.again(changed), it.recorded)
    assert departure.left
    assert (departure.first_step, departure.first_layer) == (0, "relu1")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [0, 8, 63])
def test_a_loss_that_is_not_finite_is_infinitely_far_away(step, bad):
    it = case("Adam")
    losses = it.trained.losses.clone()
    losses[2, step] = bad
    departure = it.judged(replace(it.trained, losses=losses))
    assert departure.left
    assert departure.r == torch.inf
    assert departure.first_step == step


# --- the start


def with_start(it, name, change):
    start = {key: p.clone() for key, p in it.trained.start.items()}
    start[name] = change(start[name])
    return replace(it.trained, start=start)


def entry(by):
    """Moves one entry of the second seed by so many norms."""

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
def test_a_changed_start_is_noticed_first(name, change):
    it = case("Adam")
    departure = it.judged(with_start(it, name, CHANGES[change]))
    assert (departure.start, departure.first_layer, departure.r) == (False, name, None)
    assert departure.why_not == "the start has changed"


def test_the_first_changed_layer_is_named():
    it = case("Adam")
    both = {name: p * 1.001 if "weight" in name else p for name, p in it.trained.start.items()}
    assert it.judged(replace(it.trained, start=both)).first_layer == "hidden1.weight"


def test_a_bias_that_was_zero_is_noticed():
    it = case("Adam")  # He's biases are zero: there is no norm to compare with
    departure = it.judged(with_start(it, "hidden2.bias", lambda p: p + 1e-12))
    assert departure.first_layer == "hidden2.bias"


@pytest.mark.parametrize("missing", ["now", "then"])
def test_a_parameter_that_came_or_went_is_noticed(missing):
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
def test_other_images_in_the_first_batch_are_another_start(change):
    it = case("Adam")
    departure = with_order(it, change(it.trained.first_batch))
    assert (departure.start, departure.alike, departure.r) == (False, False, None)
    assert departure.first_layer is None
    assert departure.why_not == "the data order has changed"


def test_first_batch_is_that_of_the_training_itself(monkeypatch):
    """Not worked out again: what the engine was given."""
    it = case("Adam")
    stored = torch.arange(it.arm.recipe.steps * 8).view(-1, 8) % toy.TRAIN
    monkeypatch.setattr(training, "order", lambda *_: stored)
    departure = it.judged(it.again())
    assert departure.why_not == "the data order has changed"
    assert departure.alike


def test_order_that_was_not_recorded_is_not_compared():
    it = case("Adam")
    older = {key: value for key, value in it.recorded.items() if key != "order"}
    flipped = replace(it.trained, first_batch=it.trained.first_batch.flip(1))
    assert compare(it.arm, flipped, older).start


def test_order_of_an_arm_without_steps_is_no_order():
    it = recorded(toy.arm(recipe=Recipe(SGD(lr=0.1), 8, 0)), toy.data())
    assert it.judged(it.trained).start


def first_seed(tensors):
    return {name: p[:1].expand_as(p) for name, p in tensors.items()}


def test_seeds_that_are_all_alike_are_told_from_another_start():
    it = case("Adam")
    alike = replace(it.trained, start=first_seed(it.trained.start))
    assert it.judged(alike).alike
    doubled = {name: 2 * p for name, p in it.trained.start.items()}
    assert not it.judged(replace(it.trained, start=doubled)).alike


def test_seeds_that_were_alike_when_recorded_may_be_alike_elsewhere():
    it = recorded(toy.arm(initializer=ones), toy.data())
    larger = {name: p + 1 for name, p in it.trained.start.items()}
    departure = it.judged(replace(it.trained, start=larger))
    assert (departure.start, departure.alike) == (False, False)


def test_one_layer_whose_seeds_are_alike_is_not_all_of_them():
    it = case("Adam")
    start = it.trained.start | first_seed({"hidden1.weight": it.trained.start["hidden1.weight"]})
    departure = it.judged(replace(it.trained, start=start))
    assert (departure.first_layer, departure.alike) == ("hidden1.weight", False)


@pytest.mark.parametrize("by", [1e-8, 1.8e-7])
def test_a_start_that_moved_by_rounding_is_the_same_start(by):
    it = case("Adam")
    double = {name: p.double() * (1 + by) for name, p in it.trained.start.items()}
    assert it.judged(replace(it.trained, start=double)).start


def test_a_start_that_moved_by_rounding_trains_inside_the_envelope():
    it = case("Adam")
    moved = replace(he, named=(("hidden1.weight", nudged_),))
    departure = it.judged(it.again(replace(it.arm, initializer=moved)))
    assert departure.start
    assert 0 < departure.r < FACTOR


def nudged_(tensor, generator):
    """He's weights, each a unit in the last place or none away."""
    he.weights(tensor, generator)
    return tensor.mul_(1 + 0.6 * EPS)


def test_marks_are_the_same_in_any_company():
    it = case("Adam")
    alone = start_marks({name: p[2:3] for name, p in it.trained.start.items()})
    for name, marks in it.recorded["start"].items():
        assert np.allclose(alone[name], marks[2:3], rtol=1e-12, atol=0)


def test_a_scalar_parameter_has_marks():
    it = toy.default_arm(Network("residual", toy.Residual))
    marks = start_marks(train(it, SEEDS[:2], toy.data()).start)
    assert np.abs(marks["gain"]).tolist() == [[0.5, 0.5]] * 2


# --- what cannot be judged


def test_an_arm_that_stands_still_is_not_judged():
    it = recorded(toy.arm(recipe=Recipe(SGD(lr=1e-9), 8, 1)), toy.data())
    departure = it.judged(it.trained)
    assert departure.r is None
    assert not departure.left
    assert "hardly moves" in departure.why_not


def test_a_chaotic_arm_is_not_judged():
    it = case("Adam")
    chaotic = it.recorded | {"envelope": [2 * CHAOS] * len(it.recorded["steps"])}
    assert compare(it.arm, it.trained, chaotic).r is None


DIVERGING = {
    "NaN from the start": (every(normal_(std=1e30)), 0.1),
    "infinite activations": (every(normal_(std=1e15)), 0.1),
    "NaN after some steps": (he, 1e4),
}


@pytest.mark.parametrize("how", DIVERGING)
def test_what_diverges_is_recorded_in_json_and_compared(how):
    initializer, rate = DIVERGING[how]
    arm = toy.arm(recipe=Recipe(SGD(lr=rate, momentum=0.9), 8, 40), initializer=initializer)
    it = recorded(arm, toy.data())  # json.dumps refuses NaN and infinity
    assert not it.trained.losses.isfinite().all()
    steps = it.recorded["steps"]
    assert it.trained.losses[:, steps].isfinite().all()
    departure = it.judged(it.again())
    assert departure.start
    assert not departure.left


# --- layers at the start


def test_layers_are_those_of_the_first_batch():
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


def test_gradients_at_the_start_are_those_of_the_first_step():
    plain = toy.arm(recipe=Recipe(SGD(lr=1.0), 8, 1, dtype="float64"))
    trained = train(plain, SEEDS[:2], toy.data())
    layers = layers_at_start(plain, trained)
    for name, start in trained.start.items():
        step = (start - trained.parameters[name]).flatten(1).norm(dim=1)  # lr 1: the gradient
        assert layers[f"{name} gradient"] == [[pytest.approx(s, rel=1e-9)] for s in step.tolist()]


class Talkative(toy.Dropping):
    """Drops units, hands a pair from layer to layer, and has a shortcut of nothing."""

    def __init__(self):
        super().__init__()
        self.nothing = nn.Sequential()
        self.pool = nn.MaxPool2d(2, return_indices=True)

    def forward(self, x):
        pooled, _ = self.pool(x)
        return super().forward(self.nothing(x)) + pooled.mean()


def test_looking_at_layers_draws_nothing_and_copes_with_any_output():
    arm = toy.default_arm(Network("talkative", Talkative))
    trained = train(arm, SEEDS[:2], toy.data())
    before = torch.get_rng_state()
    layers = layers_at_start(arm, trained)
    assert torch.equal(torch.get_rng_state(), before)
    assert layers == layers_at_start(arm, trained)
    assert "pool" not in layers
    assert "layers.1" in layers
    assert "nothing" in layers


@pytest.mark.parametrize("keep_at", [(), (2,), (1, 3)])
def test_an_arm_that_keeps_parameters_on_the_way_can_be_recorded(keep_at):
    recipe = Recipe(SGD(lr=0.1), 8, 4, keep_at=keep_at, keep=("hidden1.weight",) * bool(keep_at))
    found = recorded(toy.arm(recipe=recipe), toy.data())
    assert found.judged(found.trained).r is None or found.judged(found.trained).r == 0


def test_one_seed_of_four_that_jumps_is_no_drift_and_three_are():
    it = case("SGD")
    for jumping, left in ((1, False), (3, True)):
        losses = it.trained.losses.clone()
        losses[:jumping, 8] *= 1 + 1e-2
        assert it.judged(replace(it.trained, losses=losses)).left is left
