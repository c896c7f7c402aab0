"""Outcomes agree with slow loops over images, and logits that are not finite give NaN."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from initcheck import SGD, Recipe, probes
from initcheck.initializers import every, normal_, torch_default, zeros
from initcheck.networks import Network
from initcheck.probes import (
    classes_predicted,
    final_loss,
    first_loss,
    logit_spread,
    name_of,
    outcomes,
)
from initcheck.probes.dropout import masked_accuracy_error
from initcheck.probes.signals import accuracy_kept_by_bytes
from initcheck.training import randomness
from initcheck.training.train import train
from tests.helpers import toy
from tests.helpers.trained import trained_with

SEEDS = (3, 5)
LINEAR = Network("linear", lambda: nn.Sequential(nn.Flatten(), nn.Linear(20, toy.CLASSES)))


@pytest.fixture(params=["start", "end"])
def trained(request):
    """Before training nearly all answers are wrong or identical; after it nearly all are right."""
    arm = toy.arm(recipe=toy.RECIPE) if request.param == "end" else toy.arm(LINEAR)
    after = train(arm, SEEDS, toy.data())
    if request.param == "start":
        return trained_with(after.start, arm=arm, losses=after.losses)
    return after


def answers(trained):
    """Logits by numpy, image by image: ``(R, N, classes)``."""
    relu = trained.arm.network is toy.SMALL
    names = [name.removesuffix(".weight") for name in trained.parameters if "weight" in name]
    logits = []
    for r in range(len(trained.seeds)):
        rows = []
        for image in trained.data.test_inputs.double().numpy():
            x = image.reshape(-1)
            for name in names:
                weight = trained.parameters[f"{name}.weight"][r].double().numpy()
                x = weight @ x + trained.parameters[f"{name}.bias"][r].double().numpy()
                x = np.maximum(x, 0) if relu and name != names[-1] else x
            rows.append(x)
        logits.append(rows)
    return np.array(logits)


def test_accuracy_counts_right_answers(trained):
    labels = trained.data.test_targets.numpy()
    slow = [
        sum(int(np.argmax(logits) == label) for logits, label in zip(rows, labels, strict=True))
        / len(labels)
        for rows in answers(trained)
    ]
    assert probes.test_accuracy(trained).tolist() == slow


def test_classes_predicted_counts_different_answers(trained):
    slow = [float(len({int(np.argmax(logits)) for logits in rows})) for rows in answers(trained)]
    assert classes_predicted(trained).tolist() == slow


def test_logit_spread_is_the_largest_difference_between_images(trained):
    slow = [
        max(abs(a[c] - b[c]) for a in rows for b in rows for c in range(toy.CLASSES))
        for rows in answers(trained)
    ]
    assert logit_spread(trained).tolist() == pytest.approx(slow, rel=1e-4)


def test_equal_logits_predict_one_class():
    zero = {"1.weight": torch.zeros(2, 4, 20), "1.bias": torch.zeros(2, 4)}
    trained = trained_with(zero, arm=toy.arm(LINEAR))
    assert classes_predicted(trained).tolist() == [1.0, 1.0]
    assert logit_spread(trained).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "probe",
    [
        probes.test_accuracy, classes_predicted, logit_spread, accuracy_kept_by_bytes,
        masked_accuracy_error,
    ],
)  # fmt: skip
def test_logits_that_are_not_finite_are_no_answer(probe, bad):
    parameters = {"1.weight": torch.zeros(3, 4, 20), "1.bias": torch.zeros(3, 4)}
    parameters["1.bias"][1, 2] = bad
    values = probe(trained_with(parameters, arm=toy.arm(LINEAR)))
    assert values.dtype == torch.float64
    assert values.isnan().tolist() == [False, True, False]


def test_one_image_without_an_answer_is_enough():
    """An infinite weight times a pixel of zero is the only NaN."""
    data = toy.data()
    inputs = data.test_inputs.clone().clamp(min=0.01)
    inputs[7] = 0
    spoiled = type(data)(
        "toy", data.train_inputs, data.train_targets, inputs, data.test_targets, 4, "0" * 16
    )
    parameters = {"1.weight": torch.zeros(1, 4, 20), "1.bias": torch.zeros(1, 4)}
    parameters["1.weight"][0, 0, 0] = torch.inf
    trained = trained_with(parameters, arm=toy.arm(LINEAR), data=spoiled)
    assert trained.test_logits.isnan().any(-1).sum() == 1
    assert probes.test_accuracy(trained).isnan().all()


def test_images_too_large_for_an_answer_have_no_accuracy():
    parameters = {"1.weight": torch.zeros(2, 4, 20), "1.bias": torch.zeros(2, 4)}
    parameters["1.weight"][1] = 1e36  # times pixels of 255, the sum overflows float32
    trained = trained_with(parameters, arm=toy.arm(LINEAR))
    assert probes.test_accuracy(trained).isfinite().all()
    assert accuracy_kept_by_bytes(trained).isnan().tolist() == [False, True]


class Overflowing(nn.Module):
    """Finite in evaluation; in training about half of the passes are multiplied by infinity."""

    def forward(self, x):
        scaled = self.training and bool(torch.rand(()) < 0.5)
        return x * torch.inf if scaled else x


def test_masks_that_leave_no_answer_have_no_accuracy():
    network = Network(
        "overflowing",
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(20, toy.CLASSES), Overflowing()),
    )
    parameters = {"1.weight": torch.zeros(1, 4, 20), "1.bias": torch.ones(1, 4)}
    trained = trained_with(parameters, arm=toy.arm(network))
    assert probes.test_accuracy(trained).isfinite().all()
    with randomness.seeded(1, "cpu"):  # some of the eight passes overflow
        assert masked_accuracy_error(trained).isnan().all()


def test_an_all_zero_network_has_the_same_logits_for_every_image():
    symmetric = train(toy.arm(initializer=zeros), [1, 2], toy.data())
    assert outcomes.few_logit_spread(symmetric).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert outcomes.loss_off_chance(symmetric).tolist() == pytest.approx([0, 0], abs=1e-6)
    other = train(toy.arm(initializer=torch_default), [1, 2], toy.data())
    assert outcomes.few_logit_spread(other).min() > 0.01
    assert outcomes.loss_off_chance(other).min() > 1e-4


# --- losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 9, 10, 11, 40])
def test_final_loss_is_the_mean_of_the_last_ten(steps):
    losses = torch.rand(3, steps, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    trained = trained_with({"w": torch.zeros(3, 2)}, losses=losses)
    slow = [sum(row[-10:]) / len(row[-10:]) for row in losses.tolist()]
    assert final_loss(trained).tolist() == pytest.approx(slow, rel=1e-14)
    assert first_loss(trained).tolist() == losses[:, 0].tolist()


def test_a_loss_of_nan_stays_nan():
    losses = torch.ones(2, 20).double()
    losses[1, 12] = torch.nan
    values = final_loss(trained_with({"w": torch.zeros(2, 2)}, losses=losses))
    assert values.isnan().tolist() == [False, True]


def test_a_diverged_training_is_seen_as_one():
    huge = toy.arm(initializer=every(normal_(std=1e30)))
    trained = train(huge, SEEDS, toy.data())
    assert final_loss(trained).isnan().all()
    assert probes.test_accuracy(trained).isnan().all()


def test_chance_is_the_logarithm_of_the_number_of_classes():
    losses = torch.tensor([[math.log(toy.CLASSES) - 0.5, 9.0]], dtype=torch.float64)
    one = trained_with({"w": torch.zeros(1, 1, 1)}, losses=losses)
    assert outcomes.loss_off_chance(one).item() == pytest.approx(0.5)


def test_guessing_by_the_labels_shares_costs_their_entropy():
    data = toy.data()
    labels = torch.bincount(data.train_targets).double() / len(data.train_targets)
    entropy = -float((labels * labels.log()).sum())
    start = train(toy.arm(recipe=Recipe(SGD(lr=0.1), 8, 0), initializer=zeros), [1, 2], data)
    even = math.log(toy.CLASSES) - entropy  # every class has the same logit
    assert even > 1e-3
    assert outcomes.loss_off_entropy(start).tolist() == pytest.approx([even] * 2)
    start.parameters["output.bias"] = labels.log().float().expand(2, -1)
    assert outcomes.loss_off_entropy(start).tolist() == pytest.approx([0] * 2, abs=1e-6)


def test_loss_movement_is_relative_to_the_first_loss():
    losses = torch.tensor([[2.0, 2.0, 2.0], [2.0, 3.0, 1.5]], dtype=torch.float64)
    assert outcomes.loss_movement(
        trained_with({"w": torch.zeros(2, 1, 1)}, losses=losses)
    ).tolist() == [0, 0.5]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [final_loss, partial(final_loss), partial(partial(final_loss))])
def test_a_probe_is_called_by_the_name_of_its_function(of):
    assert name_of(of) == "final_loss"


def test_pytest_does_not_collect_the_accuracy_probe():
    assert probes.test_accuracy.__test__ is False
