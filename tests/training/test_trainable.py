"""What cannot be trained, or not trained again, is refused in a sentence."""

from __future__ import annotations

import random
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from initcheck.arms import SGD, Arm, Recipe
from initcheck.initializers import InitializerError, every, torch_default
from initcheck.networks import Network, NetworkError
from initcheck.training.train import train
from tests.helpers import toy

ENGINES = pytest.mark.parametrize("engine", ["ensemble", "module"])
TWO_STEPS = Recipe(SGD(lr=0.1), batch=8, steps=2)


def shifted(amount):
    """A network that adds ``amount()`` to its inputs."""

    class Shifted(toy.Residual):
        def forward(self, x):
            return super().forward(x + amount())

    return toy.of_user(Shifted, TWO_STEPS)


UNREPEATABLE = {
    "the clock": lambda: time.perf_counter() % 1,  # float32 holds days in steps of milliseconds
    "Python's random numbers": random.random,
    "numpy's random numbers": lambda: float(np.random.random_sample()),  # noqa: NPY002 -- users do
    "a hardly visible amount": lambda: random.uniform(0, 1e-5),  # noqa: S311,
}


@ENGINES
@pytest.mark.parametrize("amount", UNREPEATABLE.values(), ids=UNREPEATABLE)
def test_a_network_that_cannot_be_repeated_is_refused(amount, engine):
    sentence = "arm 'torch_default' cannot be repeated: its network 'of a user'.* seed"
    with pytest.raises(NetworkError, match=sentence):
        train(shifted(amount), (1, 2), toy.data(), engine=engine)


class Drawn(toy.Residual):
    """Its constructor draws from numpy's global generator."""

    def __init__(self):
        super().__init__()
        self.gain.data.fill_(float(np.random.random_sample()))  # noqa: NPY002 -- users do


def test_a_constructor_that_cannot_be_repeated_is_refused():
    with pytest.raises(NetworkError, match="cannot be repeated"):
        train(toy.of_user(Drawn, TWO_STEPS), (1, 2), toy.data())


def drawn_(tensor, generator):
    """Ignores its generator."""
    return tensor.copy_(torch.from_numpy(np.random.random_sample(tuple(tensor.shape))))  # noqa: NPY002


def test_an_initializer_that_cannot_be_repeated_is_not_blamed_on_the_network():
    """A claim of conformance reports it."""
    network = Network("of a user", toy.Residual)
    train(toy.arm(network, TWO_STEPS, every(drawn_, name="drawn")), (1, 2), toy.data())


@ENGINES
def test_torchs_global_random_numbers_are_seeded(engine):
    """So a network that draws them can be repeated."""
    train(shifted(lambda: torch.rand(())), (1, 2), toy.data(), engine=engine)


def test_a_network_whose_losses_are_nan_is_repeated():
    train(shifted(lambda: float("nan")), (1, 2), toy.data())


def frozen(module):
    return module.requires_grad_(requires_grad=False)


class Nothing(nn.Module):
    """Returns the first numbers of its inputs."""

    def forward(self, x):
        return x.flatten(1)[:, : toy.CLASSES]


NOTHING_TO_TRAIN = {
    "no parameters": (Nothing, "it has no parameters"),
    "all frozen": (lambda: frozen(toy.Residual()), "all its parameters are frozen"),
    "all layers frozen": (lambda: frozen(toy.SMALL.build()), "all its parameters are frozen"),
}


@ENGINES
@pytest.mark.parametrize(("build", "problem"), NOTHING_TO_TRAIN.values(), ids=NOTHING_TO_TRAIN)
def test_a_network_with_nothing_to_train_is_refused(build, problem, engine):
    with pytest.raises(NetworkError, match=f"'of a user' cannot be trained for 2 steps: {problem}"):
        train(toy.of_user(build, TWO_STEPS), (1, 2), toy.data(), engine=engine)


@pytest.mark.parametrize("value", [3, None, nn.Linear, torch.zeros(2)], ids=str)
def test_a_build_that_returns_no_module_is_refused(value):
    with pytest.raises(
        NetworkError, match=r"'n': build\(\) returned a value of type \w+\. It must"
    ):
        Network("n", lambda: value).fresh(0)


LAZY = {
    "a weight": (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), r"1\.weight"),
    "a buffer": (lambda: nn.Sequential(nn.LazyBatchNorm2d(affine=False)), r"0\.running_mean"),
}


@pytest.mark.parametrize(("build", "name"), LAZY.values(), ids=LAZY)
def test_a_lazy_layer_is_refused(build, name):
    with pytest.raises(NetworkError, match=f"'n': '{name}' has no shape yet"):
        Network("n", build).fresh(0)


class Attending(nn.Module):
    """Attention, for which vmap has no rule: torch warns and runs it per replica."""

    def __init__(self):
        super().__init__()
        self.embed, self.output = nn.Linear(5, 8), nn.Linear(8, toy.CLASSES)

    def forward(self, x):
        h = self.embed(x[:, 0])  # (B, 4, 8)
        attended = nn.functional.scaled_dot_product_attention(h, h, h)
        return self.output(attended.mean(1))


def test_attention_trains_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(toy.of_user(Attending, TWO_STEPS), (1, 2), toy.data())


def raising_(tensor, generator):
    """Fails inside torch, in a line of the user."""
    return torch.nn.init.normal_(tensor, std=-1.0, generator=generator)


def test_an_initializer_that_raises_is_named_with_the_users_line():
    arm = Arm(toy.SMALL, every(raising_, name="mine"), toy.RECIPE, data="toy")
    with pytest.raises(InitializerError) as caught:
        arm.build(0)
    sentence = str(caught.value)
    assert sentence.startswith("The initializer 'mine' raised RuntimeError: ")
    assert "of test_trainable.py: return torch.nn.init.normal_(tensor, std=-1.0" in sentence


def test_a_network_without_steps_needs_no_parameters():
    train(Arm(Network("n", Nothing), torch_default, Recipe(SGD(lr=0.1), 8, 0), "toy"), (1,),
          toy.data())  # fmt: skip
