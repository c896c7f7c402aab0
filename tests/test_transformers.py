"""The transformers and residual networks of claims compute what their plans say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initcheck.datasets import load, unicode_names
from initcheck.networks import transformers
from initcheck.networks.branches import KINDS, branches
from initcheck.networks.transformers import Plan, gpt, rows

SMALL = {"width": 8, "heads": 2}
PLANS = {
    "pre-LN, 2 blocks, width 8": Plan(**SMALL),
    "post-LN, 1 block, width 8, skips x 1.5": Plan(**SMALL, depth=1, after=True, skip=1.5),
    "pre-RMS norm, 2 blocks, width 8, no gains": Plan(**SMALL, norm="rms", gains=False),
    "no norm, 2 blocks, width 8, no skips, branches x 0.5": Plan(
        **SMALL, norm="none", skip=0, branch=0.5
    ),
    "pre-LN, 2 blocks, width 8, perceptrons only, relu, tied head": Plan(
        width=8, heads=0, activation="relu", tied=True
    ),
}


@pytest.mark.parametrize("words", PLANS)
def test_networks_are_named_by_their_plans_and_answer_with_logits(words):
    plan = PLANS[words]
    assert str(plan) == words
    text, digits = load("names"), load("mnist5k")
    assert gpt(plan).fresh(0)(text.train_inputs[:3]).shape == (3, 32, text.classes)
    assert gpt(plan) is gpt(plan)
    assert gpt(plan).name == f"GPT ({words})"
    assert rows(plan).fresh(0)(digits.train_inputs[:3]).shape == (3, 10)
    assert rows(plan).name == f"transformer on rows ({words})"


def test_symbols_and_window_are_those_of_the_text():
    assert len(unicode_names.SYMBOLS) == transformers.SYMBOLS
    assert load("names").train_inputs.shape[1] == transformers.WINDOW


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_no_answer_depends_on_a_later_token(plan):
    module = gpt(plan).fresh(0)
    inputs = load("names").train_inputs[:2]
    other = inputs.clone()
    other[:, 20:] = (other[:, 20:] + 1) % transformers.SYMBOLS
    before, after = module(inputs), module(other)
    assert torch.allclose(before[:, :20], after[:, :20], atol=1e-6)
    assert not torch.equal(before[:, 20:], after[:, 20:])


def test_branches_and_streams_are_multiplied_and_added():
    x = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    inner = nn.Linear(8, 8)
    before = transformers.Residual(Plan(**SMALL, skip=0.5, branch=2), inner)
    assert torch.allclose(before(x), 0.5 * x + 2 * inner(before.norm(x)))
    after = transformers.Residual(Plan(**SMALL, skip=0.5, branch=2, after=True), inner)
    assert torch.allclose(after(x), after.norm(0.5 * x + 2 * inner(x)))


def test_tied_head_is_the_table_of_tokens():
    names = [name for name, _ in gpt(Plan(**SMALL, tied=True)).fresh(0).named_parameters()]
    assert "tokens.weight" in names
    assert not any(name.startswith("head") for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_residual_networks_answer_with_logits(kind):
    module = branches(kind).fresh(0)
    assert module(load("mnist5k").train_inputs[:3]).shape == (3, 10)
    assert branches(kind) is branches(kind)
