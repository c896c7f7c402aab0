"""Notebook 003 as written by hand: correct without its faults, and each fault has its effect."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.datasets import DataSet
from initcheck.notebooks import handwritten
from tests.helpers.notebooks import SMALL, images, silent


def network(**options: object) -> handwritten.Network:
    return handwritten.Network.fresh(replace(SMALL, **options), 0)


def gradients(net: handwritten.Network, data: DataSet) -> list[torch.Tensor]:
    x = data.train_inputs.flatten(1)
    before, probabilities = net.forward(x, [None] * 4)
    return net._gradients(x, before, probabilities, (data.train_targets, [None] * 4))


def true_gradients(net: handwritten.Network, data: DataSet) -> list[torch.Tensor]:
    h = data.train_inputs.flatten(1)
    tensors = [t.clone().requires_grad_() for t in net.tensors]
    for layer, function in enumerate((torch.relu, torch.celu, F.silu, lambda x: x)):
        h = function(F.linear(h, tensors[2 * layer], tensors[2 * layer + 1]))
    return list(torch.autograd.grad(F.cross_entropy(h, data.train_targets), tensors))


def test_gradients_without_faults_are_those_of_autograd():
    net, data = network(), images()
    for ours, true in zip(gradients(net, data), true_gradients(net, data), strict=True):
        torch.testing.assert_close(ours, true, rtol=1e-3, atol=1e-6)


def test_celu_fault_changes_only_gradients_of_the_layers_before_it():
    data = images()
    faulty, true = gradients(network(faults=("celu",)), data), gradients(network(), data)
    same = [torch.equal(a, b) for a, b in zip(faulty, true, strict=True)]
    assert same == [False] * 4 + [True] * 4


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_derivatives_are_difference_quotients(layer):
    a = torch.linspace(-3, 3, 40, dtype=torch.float64)
    h = 1e-6
    quotient = handwritten.activation(layer, a + h) - handwritten.activation(layer, a - h)
    slope = handwritten.derivative(layer, a, ()).double()
    torch.testing.assert_close(slope, quotient / (2 * h), rtol=1e-6, atol=1e-6)


def test_celu_fault_is_zero_above_zero():
    slope = handwritten.derivative(2, torch.tensor([-1.0, 0.0, 2.0]), ("celu",))
    assert slope.tolist() == [pytest.approx(0.3679, abs=1e-4), 0, 0]


@pytest.mark.parametrize(
    ("name", "torch_optimizer"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.1)),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.9)),
    ],
)
def test_updates_without_faults_are_those_of_torch(name, torch_optimizer):
    net = network(optimizer=name)
    copies = [t.clone().requires_grad_() for t in net.tensors]
    optimizer = torch_optimizer(copies)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        drawn = [torch.randn(t.shape, generator=generator) for t in net.tensors]
        for copy, g in zip(copies, drawn, strict=True):
            copy.grad = g.clone()
        optimizer.step()
        handwritten.UPDATES[name](net, drawn)
    for ours, copy in zip(net.tensors, copies, strict=True):
        torch.testing.assert_close(ours, copy.detach(), rtol=1e-5, atol=1e-6)


def test_adam_fault_counts_tensors():
    net = network(optimizer="adam", faults=("adam",))
    before = net.tensors[-1].clone()
    handwritten.UPDATES["adam"](net, [torch.ones_like(t) for t in net.tensors])
    assert net.counted == 8
    step = (before - net.tensors[-1])[0].item() / 0.1  # of the 8th tensor; 1 would be correct
    assert step == pytest.approx(0.1 / (1 - 0.9**8) / (0.001 / (1 - 0.999**8)) ** 0.5, rel=1e-4)
    assert step == pytest.approx(0.496, abs=1e-3)


def test_dropout_fault_drops_whole_samples():
    generator = torch.Generator().manual_seed(0)
    keep = (1.0, 0.5, 0.5, 0.5)
    _, by_sample, *_ = network(keep=keep, faults=("dropout",))._masks(64, generator)
    _, by_unit, *_ = network(keep=keep)._masks(64, generator)
    assert by_sample.shape == (64, 1)
    assert by_unit.shape == (64, 512)
    assert sorted(by_sample.unique().tolist()) == [0.0, 2.0]
    assert by_unit.mean().item() == pytest.approx(1, abs=0.05)


def test_decay_does_not_depend_on_the_learning_rate():
    net = network(decay=1e-4, momentum=0.0)
    before = [t.clone() for t in net.tensors]
    handwritten.UPDATES["sgd"](net, [torch.zeros_like(t) for t in net.tensors])
    for t, was in zip(net.tensors, before, strict=True):
        assert torch.equal(t, was * (1 - 1e-4))


def test_loss_is_capped():
    net, data = network(start="randn"), images()
    loss, _ = net.test(replace(data, test_inputs=data.test_inputs * 1e4))
    assert 0 < loss <= 18.43


def test_handwritten_run_has_figures_of_every_epoch_and_depends_on_its_seed():
    one, again = (SMALL.run(images(), 5, silent) for _ in range(2))
    assert one == again
    assert list(one.curve("train_loss")) == [1, 2]
    assert list(one.curve("test_accuracy")) == list(one.curve("loss_gap")) == [2]
    best = max(one.curve("train_accuracy").values())
    assert one.curve("accuracy_gap")[2] == abs(best - one.curve("test_accuracy")[2])
    assert SMALL.run(images(), 6, silent) != one


@pytest.mark.parametrize("wrong", [{"start": "she"}, {"optimizer": "lion"}, {"faults": ("sign",)}])
def test_unknown_options_are_refused(wrong):
    with pytest.raises(ValueError, match=r"is unknown: starts are|unknown fault sign"):
        replace(SMALL, **wrong)
