"""Both engines follow the same trajectory, and a result says which one ran."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from initcheck import datasets
from initcheck.arms import SGD, Adagrad, Adam, AdamW, Arm, Optimizer, Recipe, RMSprop, optimizer
from initcheck.initializers import he
from initcheck.networks import NetworkError, mlp
from initcheck.networks.sequences import padded
from initcheck.probes.deferred import row_movement
from initcheck.training import ensemble
from initcheck.training.train import train
from initcheck.training.work import Stack
from tests.helpers import toy
from tests.helpers.agreement import assert_engines_agree

OPTIMIZERS = [
    SGD(lr=0.1),
    SGD(lr=0.1, weight_decay=0.01),
    SGD(lr=0.1, momentum=0.9),
    SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    Adam(lr=0.01),
    Adam(lr=0.01, weight_decay=0.01, amsgrad=True),
    AdamW(lr=0.01, weight_decay=0.1),
    RMSprop(lr=0.003),
    RMSprop(lr=0.003, momentum=0.9, centered=True),
    Adagrad(lr=0.05),
    Adagrad(lr=0.05, lr_decay=0.1, weight_decay=0.01),
    *(optimizer(name) for name in ("ASGD", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop")),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chosen", OPTIMIZERS, ids=str)
def test_optimizers_follow_plain_ones(chosen, dtype):
    assert_engines_agree(toy.arm(recipe=Recipe(chosen, batch=8, steps=12, dtype=dtype)))


@pytest.mark.parametrize("name", ["Adafactor"])
def test_optimizers_that_use_whole_tensors_take_plain_steps(name):
    assert_engines_agree(toy.arm(recipe=Recipe(optimizer(name), batch=8, steps=12)), named="module")


CHOSEN = [{"foreach": True}, {"foreach": False}, {"fused": True}, {"fused": False}]


@pytest.mark.parametrize("option", [*CHOSEN, {"differentiable": False}], ids=str)
@pytest.mark.parametrize("make", [SGD, Adam], ids=["SGD", "Adam"])
def test_a_recipe_may_choose_torchs_implementation(make, option):
    assert_engines_agree(toy.arm(recipe=Recipe(make(lr=0.01, **option), batch=8, steps=12)))


@pytest.mark.parametrize(("device", "fused"), [("cpu", True), ("cuda", None), ("xla:0", None)])
def test_torch_chooses_where_it_may_have_no_fused_kernel(device, fused):
    """Adagrad on an accelerator, for example: older torch would fail at its first step."""
    leaf = torch.zeros(3, requires_grad=True)
    stack = Stack("ensemble", [leaf], lambda x: x, [], lambda name: leaf)
    work = SimpleNamespace(recipe=Recipe(Adagrad(lr=0.1), 8, 12), device=device)
    assert ensemble._optimizer(stack, work).defaults["fused"] is fused


class Clipped(torch.optim.SGD):
    """Clips the norm of a whole gradient, and has none of the options of torch's class."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr=lr)

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                torch.nn.utils.clip_grad_norm_(parameter, 0.01)
        return super().step(closure)


@pytest.mark.parametrize("name", ["SGD", "Clipped", "RMSprop"])
def test_a_custom_optimizer_class_takes_plain_steps(name):
    own = Optimizer(name, (("lr", 0.1),), kind=Clipped)
    assert_engines_agree(toy.arm(recipe=Recipe(own, batch=8, steps=12)), named="module")


# --- networks that cannot be trained --------------------------------------------------------------


class Wrong(toy.Residual):
    """Returns its logits changed by ``spoil``."""

    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def forward(self, x):
        return self.spoil(super().forward(x))


SPOILED = {
    "a pair": (lambda y: (y, y), r"returned a tuple\. It must return logits"),
    "a dictionary": (lambda y: {"logits": y}, r"returned a dict\. It must return logits"),
    "a number": (lambda y: 3.0, r"returned a float\. It must return logits"),
    "nothing": (lambda y: None, r"returned a NoneType\. It must return logits"),
    "a scalar": (lambda y: y.sum(), r"shape \(\) for a batch of 8\. .* shape \(8, 4\)"),
    "too many dimensions": (lambda y: y[:, :, None], r"returned shape \(8, 4, 1\)"),
    "too few rows": (lambda y: y[1:], r"returned shape \(7, 4\) for a batch of 8"),
    "too few classes": (lambda y: y[:, 1:], r"returned shape \(8, 3\) .* shape \(8, 4\)"),
}


@pytest.mark.parametrize("engine", ["ensemble", "module"])
@pytest.mark.parametrize(("spoil", "sentence"), SPOILED.values(), ids=SPOILED)
def test_a_network_that_returns_no_logits_is_refused(spoil, sentence, engine):
    with pytest.raises(NetworkError, match=sentence):
        train(toy.of_user(partial(Wrong, spoil)), (3, 5), toy.data(), engine=engine)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_a_network_for_other_classes_is_refused(engine, jobs):
    with pytest.raises(NetworkError, match=r"returned shape \(8, 10\).* Change the network's last"):
        train(toy.arm(mlp(20, 16, 10)), (3, 5), toy.data(), engine=engine, jobs=jobs)


def test_embedding_with_a_padding_row_takes_plain_steps():
    """Under vmap, the padding row of every replica but the first would get a gradient."""
    recipe = Recipe(SGD(lr=0.1), batch=8, steps=2)
    trained = train(Arm(padded(), he, recipe), range(3), datasets.load("mnist5k"))
    assert trained.engine == "module"
    assert row_movement(trained, "embedding.weight", 0).tolist() == [0.0, 0.0, 0.0]
