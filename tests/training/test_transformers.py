"""Networks of norms, attention, embeddings and recurrence train alike in both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck import Adam, Arm, Recipe
from initcheck.datasets import load
from initcheck.envelope.twins import TWINS
from initcheck.faults.fault import replaced
from initcheck.gate.sketching import following
from initcheck.gate.trainer import Laboratory
from initcheck.initializers import every, normal_, torch_default, zeros_
from initcheck.networks import Network, NetworkError
from initcheck.networks.transformers import SYMBOLS, Plan, gpt, rows
from initcheck.probes import outcomes
from initcheck.probes.signals import start_loss
from initcheck.training import attention
from initcheck.training import train as training
from initcheck.training.train import train

SEEDS = (3, 5, 8)
RECIPE = Recipe(Adam(lr=1e-3), batch=4, steps=6)
SMALL = every(normal_(0.02), zeros_)
PLANS = {
    "pre-LN": gpt(Plan(width=16, heads=2)),
    "post-LN": gpt(Plan(width=16, heads=2, after=True)),
    "RMS norm": gpt(Plan(width=16, heads=2, norm="rms")),
    "no norm": gpt(Plan(width=16, heads=2, norm="none", skip=0.5, branch=2)),
    "no skips": gpt(Plan(width=16, heads=2, skip=0)),
    "tied": gpt(Plan(width=16, heads=2, tied=True)),
    "perceptrons": gpt(Plan(width=16, heads=0)),
    "rows": rows(Plan(width=16, heads=2)),
}


def text_arm(network, start=SMALL, recipe=RECIPE):
    return Arm(network, start, recipe, "mnist5k" if "rows" in network.name else "names")


def assert_agree(arm, *, named):
    """Both engines give the same numbers within rounding; of three replicas, two share a chunk."""
    data = load(arm.data)
    with replaced(training, "MOST_REPLICAS", 2):
        ours = train(arm, SEEDS, data)
    plain = train(arm, SEEDS, data, engine="module")
    assert (ours.engine, plain.engine) == (named, "module")
    assert ((ours.losses - plain.losses).abs() / plain.losses).max() < 1e-5
    for name, tensor in plain.parameters.items():
        moved = (tensor - plain.start[name]).abs().max()
        assert (ours.parameters[name] - tensor).abs().max() <= 1e-2 * moved, name
    assert (plain.losses[:, 0] != plain.losses[:, -1]).all()


@pytest.mark.parametrize("network", PLANS.values(), ids=PLANS)
def test_transformers_train_together(network):
    assert_agree(text_arm(network), named="ensemble (torch.func)")


@pytest.mark.parametrize("network", PLANS.values(), ids=PLANS)
def test_transformers_agree_to_the_digits_of_float64(network):
    precise = replace(RECIPE, dtype="float64")
    arm, data = text_arm(network, recipe=precise), load(text_arm(network).data)
    ours, plain = (train(arm, SEEDS, data, engine=name) for name in ("ensemble", "module"))
    assert ours.engine == "ensemble (torch.func)"
    assert (ours.losses - plain.losses).abs().max() < 1e-12
    assert_close(ours.parameters, plain.parameters)


def assert_close(ours, plain):
    assert list(ours) == list(plain)
    for name, tensor in plain.items():
        assert tensor.dtype == torch.float64
        assert (ours[name] - tensor).abs().max() < 1e-7, name  # Adam divides by small gradients


class Recurrent(nn.Module):
    """An LSTM on tokens, with an answer at each."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(SYMBOLS, 8)
        self.cells = nn.LSTM(8, 12, batch_first=True)
        self.head = nn.Linear(12, SYMBOLS)

    def forward(self, x):
        return self.head(self.cells(self.tokens(x))[0])


def test_lstm_trains_in_plain_loops():
    """torch.func has no form of it: its flat weights are in a plain attribute."""
    arm = text_arm(Network("LSTM", Recurrent), torch_default)
    assert_agree(arm, named="module")


# --- attention ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(2, 2), (2,), ()], ids=["heads", "batch", "single"])
def test_attention_under_vmap_is_each_replicas_own(batch):
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 5, *batch, 6, 4, generator=generator).requires_grad_()
    for options in ({"is_causal": True}, {"scale": 0.3}, {}):

        def attend(*each, options=options):
            return F.scaled_dot_product_attention(*each, **options)

        with attention.Together():
            ours = torch.func.vmap(attend)(q, k, v)
        own = torch.stack([attend(*each) for each in zip(q, k, v, strict=True)])
        assert torch.allclose(ours, own, rtol=0, atol=1e-6)
        grads = (torch.autograd.grad(x.square().sum(), (q, k, v)) for x in (ours, own))
        for a, b in zip(*grads, strict=True):
            assert torch.allclose(a, b, rtol=0, atol=1e-5)


def test_masks_and_dropout_are_left_to_torch():
    q = torch.zeros(2, 1, 3, 4)
    mask = torch.ones(3, 3, dtype=torch.bool)
    with attention.Together():
        assert F.scaled_dot_product_attention(q, q, q, mask).shape == q.shape


# --- targets per token ----------------------------------------------------------------------------


class Wrong(nn.Module):
    """Answers once per text instead of once per token."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(SYMBOLS, SYMBOLS)

    def forward(self, x):
        return self.tokens(x).mean(1)


@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_logits_of_another_shape_are_refused(engine):
    arm = text_arm(Network("wrong", Wrong), torch_default)
    message = r"shape \(4, 39\) for a batch of 4. It must return logits of shape \(4, 32, 39\)"
    with pytest.raises(NetworkError, match=message):
        train(arm, SEEDS, load("names"), engine=engine)


def test_loss_is_the_mean_over_batch_and_tokens():
    arm = text_arm(PLANS["tied"])
    trained = train(arm, SEEDS, load("names"))
    for r, seed in enumerate(SEEDS):
        images = trained.first_batch[r]
        logits = arm.build(seed)(load("names").train_inputs[images])
        loss = F.cross_entropy(logits.transpose(1, 2), load("names").train_targets[images])
        assert float(loss.detach()) == pytest.approx(float(trained.losses[r, 0]), rel=1e-6)


@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_sketches_and_twins_follow_texts(engine):
    arm = text_arm(PLANS["pre-LN"])
    laboratory = Laboratory(engine=engine)
    noisy, precise = laboratory.twins(arm, SEEDS)
    assert noisy.losses.shape == (len(SEEDS) * TWINS, RECIPE.steps)
    assert precise.arm.recipe.dtype == "float64"
    watched = train(arm, SEEDS, load("names"), watch=following(SEEDS, RECIPE.steps), engine=engine)
    assert all(way is not None and way.keys() == watched.start.keys() for way in watched.ways)
    far = (noisy.losses[: len(SEEDS)] - watched.losses).abs()
    assert 0 < far.max() < 1e-3


def test_a_probe_for_images_is_refused_on_text():
    """Accuracy is one number per seed only if there is one label per image."""
    for probe in (outcomes.test_accuracy, start_loss):
        with pytest.raises(NetworkError, match=f"{probe.__name__}.*It is a probe for images"):
            Laboratory().values(probe, text_arm(PLANS["tied"]), SEEDS, "cpu")
