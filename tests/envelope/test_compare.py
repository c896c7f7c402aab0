"""The rounding envelope accepts harmless changes and names what has changed training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from initcheck.arms import SGD, Adam, Recipe
from initcheck.baselines.evidence import BaselineError
from initcheck.envelope.compare import (
    CHAOS,
    FACTOR,
    FLOOR,
    envelopes,
    growth,
    steps_judged,
)
from initcheck.envelope.fingerprints import BEYOND
from initcheck.gate.reference import compare
from initcheck.initializers import every, he, normal_, ones, zeros
from initcheck.networks import Network, mlp
from initcheck.training import train as training
from initcheck.training.train import train
from tests.helpers import toy
from tests.helpers.recorded import CASES, EPS, SEEDS, case, precisely, recorded

# --- which steps


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 9, 64, 65, 150])
def test_the_judged_steps_are_the_powers_of_two_and_both_ends(steps):
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
    envelope = growth(losses, twins, EPS)
    assert envelope.tolist() == pytest.approx(slow_growth(losses.numpy(), twins.numpy(), EPS))
    assert (envelope.diff() >= 0).all()
    assert (envelope >= FLOOR * EPS).all()


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


# --- harmless changes


@CASES
def test_a_run_agrees_with_its_own_record(name):
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
@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # the warning of the switch for oneDNN
def test_harmless_changes_stay_inside_the_envelope(name, change, monkeypatch):
    departure = case(name).judged(change(case(name), monkeypatch))
    assert departure.start
    assert departure.r is not None
    assert departure.r < FACTOR / 2


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fewer_seeds_can_be_judged_by_the_same_record(count):
    it = case("Adam")
    departure = it.judged(train(it.arm, SEEDS[:count], it.data, engine="module"))
    assert 0 < departure.r < FACTOR


def all_zero_and_balanced():
    """Every batch has equally many images of each class, so an all-zero network has no gradient.

    Adam scales up what rounding leaves of it.
    """
    data = toy.data()
    labels = torch.arange(len(data.train_targets)) % toy.CLASSES
    return recorded(
        toy.arm(recipe=Recipe(Adam(lr=1e-2), len(labels), 32), initializer=zeros),
        replace(data, train_targets=labels),
    )


def all_one():
    """Equal logits in the millions: rounding decides which is the largest."""
    wide = mlp(20, 100, 100, 100, toy.CLASSES)
    return recorded(toy.arm(wide, Recipe(Adam(lr=1e-2), 8, 16), ones), toy.data())


@pytest.mark.parametrize("make", [all_zero_and_balanced, all_one])
@pytest.mark.parametrize("change", INNOCENT)
@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # the warning of the switch for oneDNN
def test_what_rounding_decides_is_not_a_drift(make, change, monkeypatch):
    it = make()
    departure = it.judged(change(it, monkeypatch))
    assert departure.start
    assert not departure.left


def test_a_start_is_not_judged_if_rounding_decides_its_loss():
    departure = all_one().judged(all_one().trained)
    assert departure.r is None
    assert "rounding alone" in departure.why_not


def test_a_record_that_lacks_a_seed_is_refused():
    it = case("Adam")
    losses = torch.cat([it.trained.losses, torch.full((1, 64), torch.nan).double()])
    start = {name: torch.cat([p, p[:1] + 1]) for name, p in it.trained.start.items()}
    more = replace(it.trained, seeds=(*SEEDS, 99), losses=losses, start=start)
    with pytest.raises(BaselineError, match="was recorded on other seeds"):
        it.judged(more)


# --- what has changed training


def slower(arm):
    rate = dict(arm.recipe.optimizer.options)["lr"]
    make = {"Adam": Adam, "SGD": SGD}[arm.recipe.optimizer.name]
    options = dict(arm.recipe.optimizer.options) | {"lr": rate * 0.999}
    return replace(arm, recipe=replace(arm.recipe, optimizer=make(**options)))


@CASES
def test_a_learning_rate_lower_by_a_thousandth_is_found(name):
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


def test_a_changed_layer_is_named():
    it = case("Adam")
    changed = replace(it.arm, network=Network("leaky", leaky))
    departure = compare(changed, it.again(changed), it.recorded)
    assert departure.left
    assert (departure.first_step, departure.first_layer) == (0, "relu1")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [0, 8, 63])
def test_a_loss_that_is_not_finite_leaves_the_envelope(step, bad):
    it = case("Adam")
    losses = it.trained.losses.clone()
    losses[2, step] = bad
    departure = it.judged(replace(it.trained, losses=losses))
    assert departure.left
    assert departure.r == torch.inf
    assert departure.first_step == step


def losses_of(*rows):
    return torch.tensor(rows, dtype=torch.float64)


RISING = {  # four steps, of which rounding makes the last two chaotic
    "steps": [0, 1, 2, 3], "losses": [[2.3, 2.0, 1.5, 1.0]], "envelope": [5e-7, 1e-6, 2e-3, 1e-2],
}  # fmt: skip


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_leaves_it_at_chaotic_steps_too(bad):
    ratio, why_not = envelopes(losses_of([2.3, 2.0, bad, bad]), RISING)
    assert (ratio.tolist(), why_not) == ([0.0, 0.0, torch.inf, torch.inf], "")
    ratio, why_not = envelopes(losses_of([2.3, 2.0, 7.0, 0.0]), RISING)
    assert (ratio.tolist(), why_not) == ([0.0] * 4, "")


@pytest.mark.parametrize(("seeds", "place"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)])
def test_the_typical_seed_is_the_lower_median(seeds, place):
    """Of three seeds it is the middle one, so two seeds that left are not overlooked."""
    losses = losses_of(*[[2.3, 2.0 * (1 + 1e-6 * (seed + 1))] for seed in range(seeds)])
    record = {"steps": [0, 1], "losses": [[2.3, 2.0]] * seeds, "envelope": [1e-6, 1e-6]}
    ratio, _ = envelopes(losses.flip(0), record)
    assert ratio[1].item() == pytest.approx(place + 1)


ALL_CHAOTIC = {"envelope": [2 * CHAOS] * 4}
STILL = {"losses": [[2.3] * 4], "envelope": [1e-6] * 4}


@pytest.mark.parametrize("unjudged", [ALL_CHAOTIC, STILL], ids=["chaotic", "still"])
def test_a_loss_that_is_not_finite_leaves_it_even_if_no_step_is_judged(unjudged):
    record = RISING | unjudged
    assert envelopes(losses_of(record["losses"][0]), record)[1]
    ratio, why_not = envelopes(losses_of([*record["losses"][0][:3], float("nan")]), record)
    assert (ratio.tolist(), why_not) == ([0.0, 0.0, 0.0, torch.inf], "")


# --- what cannot be judged


def test_an_arm_whose_loss_does_not_change_is_not_judged():
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
def test_a_divergent_arm_is_recorded_in_json_and_compared(how):
    initializer, rate = DIVERGING[how]
    arm = toy.arm(recipe=Recipe(SGD(lr=rate, momentum=0.9), 8, 40), initializer=initializer)
    it = recorded(arm, toy.data())  # json.dumps refuses NaN and infinity
    assert not it.trained.losses.isfinite().all()
    steps = it.recorded["steps"]
    assert it.trained.losses[:, steps].isfinite().all()
    departure = it.judged(it.again())
    assert departure.start
    assert not departure.left


@pytest.mark.parametrize("keep_at", [(), (2,), (1, 3)])
def test_an_arm_with_checkpoints_can_be_recorded(keep_at):
    recipe = Recipe(SGD(lr=0.1), 8, 4, keep_at=keep_at, keep=("hidden1.weight",) * bool(keep_at))
    it = recorded(toy.arm(recipe=recipe), toy.data())
    assert it.judged(it.trained).r in (None, 0)


def test_one_jumping_seed_of_four_is_no_drift_but_three_are():
    it = case("SGD")
    for jumping, left in ((1, False), (3, True)):
        losses = it.trained.losses.clone()
        losses[:jumping, 8] *= 1 + 1e-2
        assert it.judged(replace(it.trained, losses=losses)).left is left
