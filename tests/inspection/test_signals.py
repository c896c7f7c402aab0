"""Signals, first losses and dead units on a batch."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection.losses import observed_loss
from tests.inspection import faulty_batch, innocent, innocent_batch, rates
from tests.inspection.faulty import CLASSES, rows


@pytest.mark.parametrize(
    ("build", "batch", "check", "severity", "name"),
    [
        (faulty_batch.constant_hidden_layer, rows, "signal", "fail", "0.weight"),
        (faulty_batch.growing, rows, "signal", "warn", "15.weight"),
        (faulty_batch.TiedUnscaled, faulty_batch.tokens, "start_loss", "warn", "embedding.weight"),
        (faulty_batch.NegativeBranch, rows, "units", "warn", "inner.weight"),
    ],
)
def test_a_fault_is_found(build, batch, check, severity, name):
    inspection = inspect_model(build, batch, name="model")
    found = [each for each in inspection.findings if each.check == check]
    assert severity in [each.severity for each in found], str(inspection)
    assert any(name in each.parameters for each in found)


@pytest.mark.parametrize("seed", [101, 103])
def test_a_gate_explains_decades_of_gradients(seed):
    """LayerScale of 1e-5 scales the gradient of a branch, and not what passes it."""
    found = rates.findings(partial(innocent.Residual, "layerscale"), rows, seed)
    assert not [each for each in found if each.severity == "warn"]


def test_layers_are_in_the_order_of_their_calls():
    inspection = inspect_model(innocent.zero_head, rows)
    assert [each["path"] for each in inspection.layers] == ["0", "2"]
    hidden, head = inspection.layers
    assert hidden["forward"] > 0
    assert hidden["backward"] == 0  # behind a head of zeros
    assert head["forward"] == 0
    assert head["backward"] > 0


def test_a_prior_in_a_bias_does_not_warn():
    def build():
        module = nn.Linear(8, CLASSES)
        with torch.no_grad():
            module.bias.copy_(torch.tensor([40.0, 0, 0, 0, 0]))
        return module

    def batch():
        inputs, _ = rows()
        return inputs, torch.zeros(16, dtype=torch.long)

    for labels in (batch, rows):
        inspection = inspect_model(build, labels, name="prior")
        assert not inspection.of_severity("fail", "warn"), str(inspection)


def test_a_small_bias_does_not_excuse_large_weights():
    """A bias moves a cross entropy by no more than its entries are apart."""

    def build():
        module = nn.Linear(8, CLASSES)
        nn.init.normal_(module.weight, std=100)
        with torch.no_grad():
            module.bias.copy_(torch.tensor([3.0, 0, 0, 0, 0]))
        return module

    (found,) = [
        each for each in inspect_model(build, rows, name="large").findings
        if each.check == "start_loss"
    ]  # fmt: skip
    assert found.severity == "warn"
    assert "prior" not in found.message


def test_both_costs_of_a_loss():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    labels = torch.tensor([0, -100])
    loss = observed_loss(nn.functional.cross_entropy, (logits, labels), {})
    total = math.log(math.exp(2) + 2)
    assert loss.value == pytest.approx(total - 2)
    assert loss.without_labels == pytest.approx(total - 2 / 3)
    assert loss.chance == pytest.approx(math.log(3))
    pair = observed_loss(
        nn.functional.binary_cross_entropy_with_logits, (torch.zeros(4), torch.ones(4)), {}
    )
    assert pair.value == pair.without_labels == pytest.approx(math.log(2))


@pytest.mark.parametrize("seed", range(20))
def test_small_networks_are_silent(seed):
    """Four layers of torch's default start, for twenty seeds."""

    def build():
        torch.manual_seed(torch.initial_seed() + 1000 * seed)
        return nn.Sequential(
            nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16),
            nn.ReLU(), nn.Linear(16, CLASSES),
        )  # fmt: skip

    assert not inspect_model(build, rows).of_severity("fail", "warn")


def test_a_module_that_is_awake_at_once_is_not_trained():
    """Each build of a large module takes seconds: two more are needed only to see who wakes."""
    builds = []

    def counted(head):
        def build():
            builds.append(head)
            module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, CLASSES))
            if head == "zero":
                nn.init.zeros_(module[1].weight)
            return module

        return build

    assert set(inspect_model(counted("random"), rows).wakes.values()) == {1}
    assert 2 in inspect_model(counted("zero"), rows).wakes.values()
    assert builds.count("zero") == builds.count("random") + 2


def features():
    return rows()[0]


def test_a_loss_names_what_feeds_it():
    for build, names in (
        (innocent_batch.Twins, [("predictor.weight", "predictor.bias")]),
        (innocent_batch.Quantized, [("encoder.weight", "encoder.bias")]),
    ):
        inspection = inspect_model(build, features)
        found = [each for each in inspection.findings if each.check == "start_loss"]
        assert [each.severity for each in found] == ["note"] * len(names), str(inspection)
        assert [each.parameters for each in found] == names


def test_a_tied_head_names_its_weight():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(CLASSES * 10, 256)
            self.norm, self.head = nn.LayerNorm(256), nn.Linear(256, CLASSES * 10, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x):
            return self.head(self.norm(self.embedding(x).roll(1, 1)))

    (finding,) = inspect_model(Tied, faulty_batch.tokens).of_severity("warn")
    assert finding.parameters == ("embedding.weight",)


def test_a_sum_of_many_branches_names_no_layer():
    class Stream(nn.Module):
        def __init__(self):
            super().__init__()
            self.branches = nn.ModuleList(nn.Linear(8, 8) for _ in range(6))

        def forward(self, x):
            for branch in self.branches:
                x = x + branch(x)
            return 1e3 * x[:, :CLASSES]

    inspection = inspect_model(Stream, rows)
    (finding,) = [each for each in inspection.findings if each.check == "start_loss"]
    assert finding.parameters == ()
    assert finding.owner == "Stream"


def test_cosines_times_a_scale_are_noted():
    def batch():
        inputs, labels = rows()
        return {"x": inputs, "labels": labels}

    for given in (rows, batch):
        inspection = inspect_model(innocent_batch.Cosines, given)
        (finding,) = [each for each in inspection.findings if each.check == "start_loss"]
        assert finding.severity == "note", str(inspection)
        assert "cosines" in finding.message


def test_a_scale_without_cosines_warns():
    class Scaled(innocent_batch.Cosines):
        def forward(self, x):
            return 64 * nn.functional.linear(self.inner(x), self.centres)

    found = inspect_model(Scaled, rows).of_severity("warn")
    assert [each.check for each in found] == ["start_loss"]
    assert found[0].parameters == ("centres", "inner.weight", "inner.bias")
