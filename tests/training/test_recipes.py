"""Learning rates by pattern of a parameter's name, and bfloat16, in both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.arms import SGD, Adam, Recipe, optimizer, order
from initcheck.training.train import train
from tests.helpers import toy
from tests.helpers.agreement import assert_engines_agree, assert_same

ENGINES = ("ensemble", "module")
RATES = (("hidden1.*", 0.25), ("*.weight", 4.0))  # the first that matches decides
RECIPE = Recipe(SGD(lr=0.1), batch=8, steps=12, rates=RATES)
SHORT = Recipe(Adam(lr=0.01), batch=8, steps=12, dtype="bfloat16")


@pytest.mark.parametrize("chosen", [SGD(lr=0.1, momentum=0.5), Adam(lr=0.01), Adam()], ids=str)
@pytest.mark.parametrize(
    "network", [toy.SMALL, toy.sequential(torch.nn.Flatten, lambda: torch.nn.Linear(20, 4))]
)
def test_engines_use_the_same_rates(network, chosen):
    pattern = (("*bias", 0.5),)
    assert_engines_agree(toy.default_arm(network, replace(RECIPE, optimizer=chosen, rates=pattern)))


def test_each_parameter_has_the_rate_of_the_first_pattern_that_matches():
    arm = toy.arm(recipe=RECIPE)
    trained = train(arm, (3,), toy.data(), engine="module")
    module = arm.build(3)
    for images in order(3, toy.TRAIN, RECIPE):
        loss = F.cross_entropy(
            module(toy.data().train_inputs[images]), toy.data().train_targets[images]
        )
        grads = torch.autograd.grad(loss, list(module.parameters()))
        with torch.no_grad():
            for (name, parameter), grad in zip(module.named_parameters(), grads, strict=True):
                lr = 0.025 if name.startswith("hidden1.") else 0.4 if "weight" in name else 0.1
                parameter.sub_(lr * grad)
    assert_same(
        trained.parameters, {name: p.detach()[None] for name, p in module.named_parameters()}
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rate_of_zero_holds_parameters_still(engine):
    arm = toy.arm(recipe=replace(RECIPE, rates=(("output.*", 0.0),)))
    trained = train(arm, (3, 5), toy.data(), engine=engine)
    for name, tensor in trained.parameters.items():
        assert torch.equal(tensor, trained.start[name]) == name.startswith("output")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pattern_that_matches_nothing_is_refused(engine):
    arm = toy.arm(recipe=replace(RECIPE, rates=(("hidden*", 1.0), ("head.*", 0.5))))
    sentence = r"rates names 'head\.\*', which matches no parameter.* hidden1\.weight"
    with pytest.raises(ValueError, match=sentence):
        train(arm, (3,), toy.data(), engine=engine)


def test_an_optimizer_without_lr_has_no_rates():
    class Plain(torch.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {})

    own = replace(optimizer("SGD"), name="Plain", kind=Plain)
    with pytest.raises(ValueError, match="factors on lr, and Plain has no lr"):
        replace(RECIPE, optimizer=own).over(toy.arm().build(0).named_parameters())


def test_a_recipe_with_rates_has_another_text():
    plain = replace(RECIPE, rates=())
    assert str(plain) == "SGD(lr=0.1), batch 8, 12 steps, float32"
    assert str(RECIPE) == f"{plain}, lr of hidden1.* x 0.25, lr of *.weight x 4"


# --- bfloat16


@pytest.mark.parametrize("engine", ENGINES)
def test_in_bfloat16_parameters_are_so_and_losses_are_finer(engine):
    trained = train(toy.arm(recipe=SHORT), (3, 5), toy.data(), engine=engine)
    assert {p.dtype for p in trained.parameters.values()} == {torch.bfloat16}
    assert trained.losses.dtype == torch.float64
    assert not torch.equal(trained.losses, trained.losses.bfloat16().double())


@pytest.mark.parametrize("chosen", [SGD(lr=0.1), Adam(lr=0.01)], ids=str)
@pytest.mark.parametrize("rates", [(), RATES], ids=["one rate", "rates"])
def test_engines_agree_in_bfloat16(chosen, rates):
    """Within the rounding of bfloat16, which a dozen steps add up."""
    arm = toy.arm(recipe=replace(SHORT, optimizer=chosen, rates=rates))
    ours, plain = (train(arm, (3, 5, 8), toy.data(), engine=engine) for engine in ENGINES)
    eps = torch.finfo(torch.bfloat16).eps
    assert ours.engine == "ensemble"
    assert ((ours.losses - plain.losses).abs() / plain.losses).max() < 8 * eps
    assert (plain.losses[:, -1] < plain.losses[:, 0]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_there_are_no_master_weights(engine):
    """A weight of one does not move by steps below half of its last digit."""
    arm = toy.arm(recipe=replace(SHORT, optimizer=SGD(lr=1e-4)))
    trained = train(arm, (3,), toy.data(), engine=engine)
    start, after = trained.start["hidden1.weight"], trained.parameters["hidden1.weight"]
    assert (start == after).double().mean() > 0.9
