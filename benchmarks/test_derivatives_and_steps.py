"""Arithmetic: derivatives, step counters and weight decay, compared with notebook 003's."""

from collections import OrderedDict
from functools import partial

import pytest
import torch
from torch import nn

from initcheck import SGD, Adam, AdamW, Arm, Network, Recipe, RMSprop, claim, mlp
from initcheck.arms import Optimizer
from initcheck.initializers import he, lecun, torch_default
from initcheck.probes.optimizers import (
    decay_error,
    first_step_error,
    gradient_error,
    split_optimizer_gap,
)

WIDTHS = (784, 32, 24, 16, 10)
SMALL = mlp(*WIDTHS)
BATCH = 32  # images per step

OPTIMIZERS = {
    "sgd": SGD(lr=0.1),
    "momentum": SGD(lr=0.1, momentum=0.9),
    "adam": Adam(lr=1e-3),
    "rmsprop": RMSprop(lr=1e-3),
}
DIFFERENTIABLE = ["relu", "celu", "elu", "silu", "tanh", "sigmoid", "gelu", "selu"]


# --- what notebook 003 wrote by hand --------------------------------------------------------------


class HalfCELU(torch.autograd.Function):
    """CELU whose derivative is 0 for x >= 0, where it should be 1."""

    @staticmethod
    def forward(ctx, x):
        """CELU, unchanged."""
        ctx.save_for_backward(x)
        return nn.functional.celu(x)

    @staticmethod
    def backward(ctx, grad):
        """No gradient passes where x >= 0."""
        (x,) = ctx.saved_tensors
        return grad * torch.where(x < 0, x.exp(), 0.0)


class HalfCELULayer(nn.Module):
    """A layer that applies `HalfCELU`."""

    def forward(self, x):
        """CELU, whose gradient passes only where x < 0."""
        return HalfCELU.apply(x)


def half_celu_network():
    """The small CELU network with `HalfCELULayer` as its second activation."""
    layers = OrderedDict(mlp(*WIDTHS, activation="celu").build().named_children())
    layers["celu2"] = HalfCELULayer()
    return nn.Sequential(layers)


HALF_CELU = Network("mlp with half of CELU's derivative", half_celu_network)


class OneCounterAdam(torch.optim.Optimizer):
    """Adam whose one counter advances once per tensor, so k tensors add k counts per step."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})
        self.count = 0

    @torch.no_grad()
    def step(self, _closure=None):
        """One step; the moments and the bias corrections are Adam's."""
        for group in self.param_groups:
            for p in group["params"]:
                self.count += 1
                state = self.state[p]
                mean = state.setdefault("mean", torch.zeros_like(p)).lerp_(p.grad, 0.1)
                square = state.setdefault("square", torch.zeros_like(p)).lerp_(p.grad**2, 0.001)
                root = (square / (1 - 0.999**self.count)).sqrt() + 1e-8
                p.sub_(group["lr"] * mean / (1 - 0.9**self.count) / root)


ONE_COUNTER = Optimizer("OneCounterAdam", (("lr", 1e-3),), OneCounterAdam)


# --- claims ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", DIFFERENTIABLE)
@claim(source="notebook 003; a3-activation-grads", kind="theorem")
def test_activation_has_its_derivative(verdict, activation):
    """The gradient through each activation agrees with central differences.

    Notebook 003's CELU does not agree: its derivative is 0 for x >= 0, where it should be 1.
    """
    recipe = Recipe(SGD(lr=0.1), batch=BATCH, steps=0, dtype="float64")
    verdict.holds(
        gradient_error,
        treated=Arm(mlp(*WIDTHS, activation=activation), lecun, recipe),
        control=Arm(HALF_CELU, lecun, recipe),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@claim(source="notebook 003; a3-adam-step-counter", kind="measured", seeds=4)  # far apart
def test_optimizer_treats_parameters_alone(verdict, optimizer, dtype):
    """SGD, Adam and RMSprop update every tensor as if it were the only one.

    Notebook 003's Adam does not: all tensors share one step counter, and each tensor advances it.
    """
    treated = Recipe(OPTIMIZERS[optimizer], batch=BATCH, steps=20, dtype=dtype)
    control = Recipe(ONE_COUNTER, batch=BATCH, steps=20, dtype=dtype)
    verdict.holds(
        split_optimizer_gap, treated=Arm(SMALL, he, treated), control=Arm(SMALL, he, control)
    )


@claim(source="notebook 003; Kingma & Ba, arXiv 1412.6980; a3-adam-step-counter", kind="theorem")
def test_adam_starts_with_steps_of_its_learning_rate(verdict):
    """Adam's first step moves the output biases by its learning rate.

    Adam's bias correction makes the first step the learning rate times the gradient's sign.
    Notebook 003's Adam takes only half of that step, because its counter has already counted seven
    other tensors.
    """
    verdict.holds(
        partial(first_step_error, layer="output"),
        treated=Arm(SMALL, he, Recipe(OPTIMIZERS["adam"], batch=BATCH, steps=1)),
        control=Arm(SMALL, he, Recipe(ONE_COUNTER, batch=BATCH, steps=1)),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@claim(
    source="notebook 003; Loshchilov & Hutter, arXiv 1711.05101; a3-decoupled-decay", kind="exact"
)
def test_decoupled_decay_shrinks_by_known_factor(verdict, dtype):
    """AdamW multiplies a weight without gradient by 1 - learning rate x decay at each step.

    Weights of pixels that are always black get no gradient, so only decay can move them. Adam
    passes its decay through the gradient and moves them by other amounts. Notebook 003 decouples
    its decay too, but does not multiply it by the learning rate.
    """
    decay = {"lr": 1e-2, "weight_decay": 0.1}
    treated, control = (
        Arm(SMALL, torch_default, Recipe(make(**decay), batch=BATCH, steps=60, dtype=dtype))
        for make in (AdamW, Adam)
    )
    verdict.holds(decay_error, treated=treated, control=control)
