"""Arms in words: facts come from the arm, and layers from the module."""

import pytest
import torch
from torch import nn

from initcheck import SGD, Adam, Arm, Network, Recipe, RMSprop, mlp
from initcheck.arms import Optimizer
from initcheck.gate.describe import describe, number
from initcheck.initializers import every, he, normal_, ones_, torch_default, zeros, zeros_
from initcheck.networks import pooled
from initcheck.notebooks.networks import cifar_cnn, small_batch_norm_cnn

SMALL = mlp(784, 64, 10)
RECIPE = Recipe(Adam(lr=1e-2), batch=32, steps=150)


@pytest.mark.parametrize(
    ("network", "data", "shown"),
    [
        (mlp(3072, 10), "cifar10", "cifar10"),
        (pooled(64, 10, by=2), "mnist5k", "mnist5k pooled to 14 x 14"),
        (pooled(64, 10, by=2), "folder:/home/someone/birds", "folder:birds pooled"),
        (mlp(12288, 10), "folder:/home/someone/birds", "folder:birds"),
        (
            Network(
                "larger", lambda: nn.Sequential(nn.Upsample(64), nn.Flatten(), nn.Linear(1, 2))
            ),
            "mnist",
            "mnist resized to 64 x 64",
        ),
    ],
)
def test_images_have_a_size_if_they_are_resized(network, data, shown):
    assert describe(Arm(network, zeros, RECIPE, data))["data"] == shown


@pytest.mark.parametrize(
    ("optimizer", "shown"),
    [
        (SGD(), "SGD"),
        (SGD(lr=0.1, momentum=0.9, nesterov=True), "SGD (lr 0.1, Nesterov momentum 0.9)"),
        (Adam(lr=1e-5, betas=(0.8, 0.99)), "Adam (lr 1e-5, betas (0.8, 0.99))"),
        (RMSprop(centered=True, lr=0.1), "RMSprop (lr 0.1, centered)"),
        (Optimizer("Mine", (("lr", 0.5),), torch.optim.SGD), "Mine (lr 0.5)"),
    ],
)
def test_optimizer_is_named_with_its_options(optimizer, shown):
    assert describe(Arm(SMALL, zeros, Recipe(optimizer, 32, 1)))["optimizer"] == shown


def test_checkpoints_are_mentioned():
    kept = {"optimizer": SGD(lr=0.1), "batch": 32, "steps": 3, "keep": ("hidden1.weight",)}
    shown = [
        describe(Arm(SMALL, zeros, Recipe(keep_at=at, **kept)))["checkpoints"]
        for at in ((), (2,), (1, 2, 3))
    ]
    assert shown == ["", "checkpoint after step 2", "checkpoint after each step"]


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        (he, ("He normal", "zero biases")),
        (
            torch_default.but("hidden1.weight", zeros_),
            ("torch's default but hidden1.weight zero", ""),
        ),
        (
            every(zeros_, normal_(1.0), "zero weights, N(0, 1) biases"),
            ("zero weights", "N(0, 1) biases"),
        ),
        (torch_default.but("*.weight", ones_), ("torch's default but *.weight from ones_", "")),
        (every(ones_, zeros_), ("ones_", "zero biases")),
        (he.but("*.bias", ones_), ("He normal but *.bias from ones_", "")),
        (every(zeros_, name="he"), ("he", "")),
        (every(zeros_, name="mine, lr 0.4, mnist5k"), ("mine with lr 0.4", "")),
        (every(zeros_, name="mine, 3 rounds, lr 0.12345678"), ("mine (3 rounds, lr 0.1235)", "")),
        (every(zeros_, name="hadamard, biases .01"), ("Hadamard", "biases .01")),
        (every(zeros_, name="scaled_(he_uniform_, 0.57735027)"), ("he_uniform_ x 0.5774", "")),
    ],
)
def test_start_has_plain_words(start, shown):
    facts = describe(Arm(SMALL, start, RECIPE))
    assert (facts["start"], facts["start's biases"]) == shown


# --- networks -------------------------------------------------------------------------------------


def facts(network):
    """Activation, layers, details and biases."""
    return [*describe(Arm(network, zeros, RECIPE)).values()][:4]


@pytest.mark.parametrize(
    ("network", "shown"),
    [
        (mlp(784, 10), ["", "softmax regression 784-10", "", "with biases"]),
        (mlp(8, 4, 2, activation="linear"), ["linear network", "8-4-2", "", "with biases"]),
        (
            mlp(8, 5, 4, 2, activation=("relu", "tanh")),
            ["ReLU/tanh network", "8-5-4-2", "", "with biases"],
        ),
        (
            mlp(784, *[16] * 20, 10),
            ["ReLU network", "784-16-...-16-10 (20 hidden layers)", "", "with biases"],
        ),
        (
            small_batch_norm_cnn(),
            [
                "ReLU network",
                "(3 x 3 conv 1-4-8, linear 128-32-10)",
                "max pool, batch norm",
                "with biases",
            ],
        ),
    ],
)
def test_layers_are_read_from_the_module(network, shown):
    assert facts(network) == shown


def test_layers_are_read_in_any_sequential():
    def build():
        first = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, bias=False), nn.LeakyReLU(0.2))
        return nn.Sequential(
            first, nn.Dropout(0.2), nn.Flatten(), nn.RMSNorm(8), nn.Linear(8, 2), nn.Sigmoid()
        )

    assert facts(Network("mine", build)) == [
        "LeakyReLU(negative_slope=0.2) network",
        "(stride-2 3 x 3 conv 1-2, linear 8-2)",
        "dropout 0.2, RMS norm, sigmoid at the output",
        "biases in some layers",
    ]


class Residual(nn.Sequential):
    """Computes more than its layers one after the other."""

    def forward(self, x):
        """With a shortcut around the first layer."""
        return self[1](x + self[0](x))


def test_other_modules_are_called_by_the_network_s_name():
    network = Network("residual 8-8-2", lambda: Residual(nn.Linear(8, 8), nn.Linear(8, 2)))
    assert facts(network) == ["", "residual 8-8-2", "", "with biases"]


def test_a_module_s_own_biases_are_not_denied():
    class Own(nn.Linear):
        """A layer with a custom parameter in place of torch's bias."""

        def __init__(self):
            super().__init__(8, 2, bias=False)
            self.biases = nn.Parameter(torch.zeros(2))

    assert facts(Network("own 8-2", Own)) == ["", "own 8-2", "", ""]
    bare = Network("bare 8-2", lambda: Residual(nn.Linear(8, 8, bias=False)))
    assert facts(bare) == ["", "bare 8-2", "", "no biases"]


def test_network_is_built_once():
    built = []

    def build():
        built.append(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    network = Network("counted", build)
    assert describe(Arm(network, he, RECIPE)) != describe(Arm(network, zeros, RECIPE))
    assert len(built) == 1


def test_cifar_network_fits_in_one_line():
    assert facts(cifar_cnn())[1] == "(3 x 3 conv 3-32-64-128-128-256-256, linear 4096-1024-512-10)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "0.5"), (1e-10, "1e-10"), (2e20, "2e20"), (2.302584, "2.302584"), (3.0, "3")],
)
def test_numbers_are_short(value, shown):
    assert number(value) == shown


def test_a_start_does_not_repeat_how_the_network_pools():
    start = every(zeros_, name="mine, 9 images pooled by 2, lr 0.4")
    for by, shown in ((2, "mine (9 images, lr 0.4)"), (4, "mine (9 images pooled by 2, lr 0.4)")):
        assert describe(Arm(pooled(64, 10, by=by), start, RECIPE))["start"] == shown
