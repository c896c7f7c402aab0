"""A trained arm's logits are those of each seed's module, and the inputs stay unchanged."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from initcheck.networks import Network
from initcheck.training.train import train
from tests.helpers import toy

SEEDS = (11, 12, 13)


class Shifting(toy.Residual):
    """Subtracts the mean from its inputs in place."""

    def forward(self, x):
        x -= 0.1307
        return super().forward(x)


class ShiftingView(toy.Residual):
    """Changes its inputs through a view."""

    def forward(self, x):
        x.flatten(1).mul_(2)
        return super().forward(x)


def rectified():
    return nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(20, toy.CLASSES))


def shift(_, inputs):
    inputs[0].add_(1)


def hooked():
    module = nn.Sequential(nn.Flatten(), nn.Linear(20, toy.CLASSES))
    module.register_forward_pre_hook(shift)
    return module


def assert_answers_are_each_modules_own(trained, inputs):
    """Logits of newly built modules, each on a copy of the inputs."""
    answers = trained.logits(inputs)
    for seed, state, logits in zip(trained.seeds, trained.replicas(), answers, strict=True):
        module = trained.arm.build(seed).eval()
        module.load_state_dict(state)
        assert torch.equal(logits, module(inputs.clone()))


class Holding(toy.Residual):
    """Draws something that is not a tensor, and applies it to its images."""

    def __init__(self, draw):
        super().__init__()
        self.through = draw()

    def forward(self, x):
        x = x.flatten(1)
        if callable(self.through):
            return super().forward(self.through(x))
        if isinstance(self.through, float):
            return super().forward(x * self.through)
        if isinstance(self.through, list):
            return super().forward(x[:, self.through])
        return super().forward(x @ torch.from_numpy(self.through))


def function():
    gain = torch.rand(20)
    return lambda x: x * gain


def scaled():
    """Only torch's layers; a hook holds what each seed draws."""
    gain = torch.rand(20)
    module = nn.Sequential(nn.Flatten(), nn.Linear(20, toy.CLASSES))
    module[0].register_forward_hook(lambda layer, inputs, output: output * gain)
    return module


HOLDING = {
    "order": partial(Holding, lambda: torch.randperm(20).tolist()),
    "gain": partial(Holding, lambda: float(torch.rand(()))),
    "array": partial(Holding, lambda: torch.randn(20, 20).numpy()),
    "function": partial(Holding, function),
    "hook": scaled,
}


@pytest.mark.parametrize("build", HOLDING.values(), ids=HOLDING)
def test_what_a_seed_draws_outside_its_state_is_not_shared(build):
    trained = train(toy.default_arm(Network("holding", build)), SEEDS, toy.data())
    assert_answers_are_each_modules_own(trained, toy.data().test_inputs)


CHANGING = {
    "subtraction": Shifting, "view": ShiftingView, "activation": rectified, "hook": hooked,
}  # fmt: skip


@pytest.mark.parametrize("build", CHANGING.values(), ids=CHANGING)
def test_networks_that_change_their_inputs_leave_those_of_others_alone(build):
    """They change neither the inputs of other replicas nor those of the data set."""
    trained = train(toy.default_arm(Network("changing", build)), SEEDS, toy.data())
    inputs = toy.data().test_inputs - 0.5  # of both signs
    before = inputs.clone()
    assert_answers_are_each_modules_own(trained, inputs)
    assert torch.equal(inputs, before)


def test_inputs_are_not_copied_for_torchs_own_layers(monkeypatch):
    """For a module that leaves its inputs unchanged, they are copied once."""
    copied = []
    monkeypatch.setattr(torch.Tensor, "clone", _noting(copied, torch.Tensor.clone))
    for network, copies in ((toy.SMALL, 0), (Network("residual", toy.Residual), 1)):
        trained = train(toy.default_arm(network), SEEDS, toy.data())
        copied.clear()
        trained.logits(toy.data().test_inputs)
        assert copied == [toy.data().test_inputs.shape] * copies


def _noting(copied, clone):
    def noted(self, **how):
        copied.append(self.shape)
        return clone(self, **how)

    return noted
