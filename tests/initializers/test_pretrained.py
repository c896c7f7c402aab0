"""Restricted Boltzmann machines: CD-1 against a slow loop, visible biases, determinism, errors."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from initcheck import datasets
from initcheck.arms import SGD, Arm, Recipe, stream
from initcheck.initializers import InitializerError, zeros_
from initcheck.initializers.pretrained import (
    Machine,
    Schedule,
    cd1,
    fit,
    log_odds,
    pretrained,
    untrained,
)
from initcheck.networks import mlp, pooled

SCHEDULE = Schedule(epochs=2, images=60, batch=20, lr=0.2)
SIGMOID = mlp(784, 12, 8, 10, activation="sigmoid")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def striped(images, units=16):
    """Images whose left or right half is bright, so that two hidden units describe them."""
    left = torch.rand(images, 1, generator=generator(1), dtype=torch.float64) < 0.5
    bright = torch.where(left, torch.arange(units) < units // 2, torch.arange(units) >= units // 2)
    return bright.double() * 0.8 + 0.1


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def cd1_by_loops(before, batch, uniform, lr):
    """One step of contrastive divergence, one connection at a time."""
    weight = [list(map(float, row)) for row in before.weight]
    a, b = before.visible_bias.tolist(), before.hidden_bias.tolist()
    hiddens, visibles = range(len(b)), range(len(a))
    change = [[0.0] * len(a) for _ in b]
    change_a, change_b = [0.0] * len(a), [0.0] * len(b)
    for image, threshold in zip(batch.tolist(), uniform.tolist(), strict=True):
        first = [sigmoid(b[j] + sum(weight[j][i] * image[i] for i in visibles)) for j in hiddens]
        sample = [float(threshold[j] < first[j]) for j in hiddens]
        again = [sigmoid(a[i] + sum(weight[j][i] * sample[j] for j in hiddens)) for i in visibles]
        last = [sigmoid(b[j] + sum(weight[j][i] * again[i] for i in visibles)) for j in hiddens]
        for j in hiddens:
            change_b[j] += first[j] - last[j]
            for i in visibles:
                change[j][i] += first[j] * image[i] - last[j] * again[i]
        for i in visibles:
            change_a[i] += image[i] - again[i]
    rate = lr / len(batch)
    return (
        [[weight[j][i] + rate * change[j][i] for i in visibles] for j in hiddens],
        [a[i] + rate * change_a[i] for i in visibles],
        [b[j] + rate * change_b[j] for j in hiddens],
    )


def test_cd1_takes_the_step_of_the_slow_version():
    batch = torch.rand(3, 5, generator=generator(2), dtype=torch.float64)
    rbm = untrained(batch, 4, generator(3))
    rbm.weight.mul_(50)  # large enough that a wrong sign or a missing term shows
    uniform = torch.rand(3, 4, generator=generator(4), dtype=torch.float64)
    weight, visible, hidden = cd1_by_loops(rbm, batch, uniform, 0.7)
    cd1(rbm, batch, lr=0.7, generator=generator(4))
    assert rbm.weight.tolist() == [pytest.approx(row) for row in weight]
    assert rbm.visible_bias.tolist() == pytest.approx(visible)
    assert rbm.hidden_bias.tolist() == pytest.approx(hidden)


def test_cd1_returns_the_reconstruction_of_the_machine_before_the_step():
    batch = striped(4)
    rbm = Machine(torch.zeros(2, 16).double(), torch.zeros(2).double(), log_odds(batch))
    again = cd1(rbm, batch, lr=0.1, generator=generator())
    torch.testing.assert_close(again, batch.mean(0).expand_as(batch))


def test_visible_biases_are_log_odds_of_the_means():
    inputs = torch.tensor([[0.0, 0.2, 1.0, 0.5], [0.0, 0.4, 1.0, 0.5]], dtype=torch.float64)
    rare = math.log(0.01 / 0.99)
    expected = [rare, math.log(0.3 / 0.7), -rare, 0.0]
    assert log_odds(inputs).tolist() == pytest.approx(expected)


def test_reconstruction_error_falls():
    inputs = striped(200)
    rbm = fit(inputs, 4, Schedule(epochs=5, images=200, batch=10, lr=0.5), generator())
    assert rbm.errors == sorted(rbm.errors, reverse=True)
    assert rbm.errors[-1] < 0.5 * float(inputs.var(0, correction=0).sum())


def test_errors_are_those_of_an_image():
    inputs = striped(50)
    rbm = fit(inputs, 2, Schedule(epochs=1, images=50, batch=20, lr=0.0), generator())
    spread = float(inputs.var(0, correction=0).sum())  # with lr 0 it reconstructs nearly the mean
    assert rbm.errors == [pytest.approx(spread, rel=0.01)]


def test_the_start_depends_on_its_seed():
    arm = Arm(SIGMOID, pretrained(SCHEDULE), Recipe(SGD(lr=0.1), batch=8, steps=0))
    first, again, other = (arm.build(seed).state_dict() for seed in (1, 1, 2))
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name])
    assert not torch.equal(first["hidden2.weight"], other["hidden2.weight"])


def test_layers_take_weights_and_hidden_biases_of_the_machines():
    initializer = pretrained(SCHEDULE)
    module = SIGMOID.fresh(0)
    initializer(module, stream(5, "weights"))
    machines = initializer.machines((12, 8), stream(5, "weights"))
    for layer, found in zip((module.hidden1, module.hidden2), machines, strict=True):
        torch.testing.assert_close(layer.weight, found.weight.float())
        torch.testing.assert_close(layer.bias, found.hidden_bias.float())
    assert bool((module.output.bias == 0).all())  # Glorot's start


def built(start):
    return Arm(SIGMOID, start, Recipe(SGD(lr=0.1), batch=8, steps=0)).build(3)


def test_rules_for_single_parameters_override_the_machines():
    """The name says so, and evidence is keyed by the name."""
    plain = pretrained(SCHEDULE)
    ruled = plain.but("output.weight", zeros_).but("hidden1.bias", zeros_)
    found, before = (built(start).state_dict() for start in (ruled, plain))
    changed = {name for name in found if not torch.equal(found[name], before[name])}
    assert changed == {"output.weight", "hidden1.bias"}
    assert not any(found[name].any() for name in changed)


def test_a_rule_for_a_missing_parameter_is_refused():
    with pytest.raises(InitializerError, match="matches no parameter"):
        built(pretrained(SCHEDULE).but("outptu.weight", zeros_))


def test_images_are_pooled_as_in_the_network():
    """The lowest machine sees what the first linear layer sees."""
    schedule = replace(SCHEDULE, pool=2)
    module = pooled(12, 10, by=2, activation="sigmoid").fresh(0)
    images = datasets.load("mnist5k").train_inputs[: schedule.images]
    torch.testing.assert_close(schedule.inputs("mnist5k").float(), module[:2](images))
    pretrained(schedule)(module, stream(5, "weights"))
    (machine,) = pretrained(schedule).machines((12,), stream(5, "weights"))
    torch.testing.assert_close(module.hidden1.weight, machine.weight.float())


@pytest.mark.parametrize("pool", [1, 4])
def test_images_of_another_size_are_refused_with_a_message(pool):
    with pytest.raises(InitializerError, match=r"has 196 inputs. If the network pools"):
        pretrained(replace(SCHEDULE, pool=pool))(
            pooled(12, 10, by=2, activation="sigmoid").fresh(0), generator()
        )


def test_a_deeper_stack_begins_with_the_shallower_one():
    initializer = pretrained(SCHEDULE)
    deep = initializer.machines((12, 8), stream(6, "weights"))
    shallow = initializer.machines((12,), stream(6, "weights"))
    assert torch.equal(deep[0].weight, shallow[0].weight)


def test_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    pretrained(SCHEDULE)(SIGMOID.fresh(0), stream(7, "weights"))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (mlp(784, 12, 10), "nn.Linear followed by nn.Sigmoid"),
        (mlp(784, 10), "at least one hidden layer"),
        (
            mlp(784, 12, 10, activation="sigmoid", bias=False),
            "Build its nn.Linear layers with bias=True",
        ),
    ],
    ids=["relu", "no hidden layer", "no biases"],
)
def test_other_networks_are_refused_with_a_message(network, message):
    with pytest.raises(InitializerError, match=message):
        pretrained(SCHEDULE)(network.fresh(0), generator())


def test_different_schedules_have_different_names():
    names = {pretrained(Schedule(lr=lr)).name for lr in (0.1, 0.2)}
    assert len(names) == 2
