"""Arithmetic: derivatives, an optimizer's step counter and weight decay, beside notebook 003's."""

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
BATCH = 32  # images a step

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
        """CELU itself."""
        ctx.save_for_backward(x)
        return nn.functional.celu(x)

    @staticmethod
    def backward(ctx, grad):
        """Nothing passes where x >= 0."""
        (x,) = ctx.saved_tensors
        return grad * torch.where(x < 0, x.exp(), 0.0)


class HalfCELULayer(nn.Module):
    """The layer of that function."""

    def forward(self, x):
        """CELU, with half of its derivative."""
        return HalfCELU.apply(x)


def half_celu_network():
    """The small network with it in its second layer."""
    layers = OrderedDict(mlp(*WIDTHS, activation="celu").build().named_children())
    layers["celu2"] = HalfCELULayer()
    return nn.Sequential(layers)


HALF_CELU = Network("mlp with half of CELU's derivative", half_celu_network)


class OneCounterAdam(torch.optim.Optimizer):
    """Adam that counts a step for every parameter it touches: k tensors, k counts a step."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})
        self.count = 0

    @torch.no_grad()
    def step(self, _closure=None):
        """One step; moments and bias corrections are Adam's own."""
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
    """In float64, at LeCun's normal start with zero biases, the gradient of the loss of a network
    784-32-24-16-10 through each activation agrees with central differences in every parameter; with
    the notebook's CELU in its second layer, whose derivative is 0 for x >= 0, it does not."""
    recipe = Recipe(SGD(lr=0.1), batch=BATCH, steps=0, dtype="float64")
    verdict.holds(
        gradient_error,
        treated=Arm(mlp(*WIDTHS, activation=activation), lecun, recipe),
        control=Arm(HALF_CELU, lecun, recipe),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@claim(source="notebook 003; a3-adam-step-counter", kind="exact")
def test_optimizer_treats_parameters_alone(verdict, optimizer, dtype):
    """From He's normal start of a ReLU network 784-32-24-16-10, one optimizer of k tensors, SGD
    with lr .1 with or without momentum .9, Adam or RMSprop with lr 1e-3, takes, up to rounding, the
    steps of k optimizers of one tensor each, for 20 steps; the notebook's Adam with lr 1e-3, whose
    counter all tensors share, does not."""
    treated = Recipe(OPTIMIZERS[optimizer], batch=BATCH, steps=20, dtype=dtype)
    control = Recipe(ONE_COUNTER, batch=BATCH, steps=20, dtype=dtype)
    verdict.holds(
        split_optimizer_gap, treated=Arm(SMALL, he, treated), control=Arm(SMALL, he, control)
    )


@claim(source="notebook 003; Kingma & Ba, arXiv 1412.6980; a3-adam-step-counter", kind="theorem")
def test_adam_starts_with_steps_of_its_learning_rate(verdict):
    """Adam's first step with lr 1e-3 moves every output bias of a ReLU network 784-32-24-16-10 by
    its learning rate, as its bias correction promises; the notebook's takes half of it there,
    because seven tensors were counted before."""
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
    """Under AdamW with lr 1e-2 and decay .1, weights of pixels that no image lights shrink in a
    ReLU network 784-32-24-16-10 by (1 - lr decay) a step and by nothing else, for 60 steps; under
    Adam, whose decay passes through the gradient, they do not. The notebook's decay is decoupled
    too, but not multiplied by the learning rate."""
    decay = {"lr": 1e-2, "weight_decay": 0.1}
    treated, control = (
        Arm(SMALL, torch_default, Recipe(make(**decay), batch=BATCH, steps=60, dtype=dtype))
        for make in (AdamW, Adam)
    )
    verdict.holds(decay_error, treated=treated, control=control)
