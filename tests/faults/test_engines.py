"""A fault reaches both engines alike."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import pytest
import torch
from torch import nn

from initcheck import SGD, Adam, AdamW, Arm, Network, Recipe, mlp
from initcheck.faults import FAULTS
from initcheck.initializers import Initializer, every, he_normal_, torch_default, zeros_
from initcheck.training import train as training
from tests.helpers.faults import tiny

ENGINES = ("ensemble", "module")
WITH = SGD(lr=0.1, momentum=0.9)
HE = every(he_normal_, zeros_, "he")
HUGE = Initializer("huge", lambda w, g: w.normal_(0, 30, generator=g))
IN_TRAINING = {
    name: ("relu", torch_default, Adam(lr=0.1) if name.startswith("adam") else WITH)
    for name in (
        "lr_halved", "lr_lower_by_a_thousandth", "learning_rate_times_100", "momentum_ignored",
        "momentum_lower_by_a_hundredth", "weight_decay", "decay_without_lr",
        "adam_without_bias_correction", "adam_counts_every_tensor", "adam_eps_inside_root",
        "adam_beta_off", "gradients_accumulated", "optimizer_holds_copies",
        "gradients_in_bfloat16", "gradients_clipped", "leaky_relu", "elu_for_relu",
        "sigmoid_for_relu", "bfloat16_products", "tf32_products", "loss_summed",
        "order_not_shuffled", "seed_ignored",
    )
} | {
    "celu_derivative_zero_above": ("celu", torch_default, WITH),
    "loss_capped": ("relu", HUGE, WITH),
    "activations_rounded": ("tanh", torch_default, WITH),
    "later_tensors_lag": ("relu", torch_default, WITH),
    "he_gain_one": ("relu", HE, WITH),
    "weight_decay_ignored": ("relu", torch_default, SGD(lr=0.1, weight_decay=0.1)),
    "decay_not_decoupled": ("relu", torch_default, AdamW(lr=0.1, weight_decay=0.1)),
    "dropout_by_row": ("dropout", torch_default, WITH),
    "dropout_rate_halved": ("dropout", torch_default, WITH),
    "dropout_unscaled": ("dropout", torch_default, WITH),
}  # fmt: skip


def _layers(activation):
    """Not a chain, since pooling within a part is not done ahead: trained as stacked layers."""
    part = nn.Sequential(nn.AvgPool2d(1))
    return nn.Sequential(OrderedDict(part=part, rest=_chain(activation)))


def _chain(activation):
    if activation == "dropout":
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 10))
    return mlp(16, 8, 8, 10, activation=activation).build()


def losses(path, activation, initializer, optimizer, engine):
    network = Network(f"{path.__name__} {activation}", partial(path, activation))
    arm = Arm(network, initializer, Recipe(optimizer, batch=32, steps=6), data="tiny")
    return training.train(arm, (1, 2), tiny(), engine=engine).losses


ONE_TENSOR = {
    "adam_counts_every_tensor",
    "later_tensors_lag",
}  # a chain's parameters are one: nothing to count wrongly


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name in IN_TRAINING for path in (_chain, _layers)
     if path is _layers or name not in ONE_TENSOR],
)  # fmt: skip
def test_fault_reaches_every_engine_alike(name, path):
    sound = {engine: losses(path, *IN_TRAINING[name], engine) for engine in ENGINES}
    with FAULTS[name].apply():
        broken = {engine: losses(path, *IN_TRAINING[name], engine) for engine in ENGINES}
    for engine in ENGINES:
        assert not torch.allclose(sound[engine], broken[engine], rtol=1e-9), engine
    rounding = 2e-2 if "products" in name or name == "loss_capped" else 1e-4
    torch.testing.assert_close(broken["ensemble"], broken["module"], rtol=rounding, atol=1e-4)
