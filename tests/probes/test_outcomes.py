"""Outcomes are what a slow loop over images counts, and NaN is never an answer."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from initcheck import probes
from initcheck.initializers import every, normal_
from initcheck.networks import Network
from initcheck.probes import (
    classes_predicted,
    final_loss,
    first_loss,
    logit_spread,
    name_of,
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
    """Before training the answers are nearly all wrong or alike; after it nearly all right."""
    arm = toy.arm(recipe=toy.RECIPE) if request.param == "end" else toy.arm(LINEAR)
    found = train(arm, SEEDS, toy.data())
    if request.param == "start":
        found = trained_with(found.start, arm=arm, losses=found.losses)
    return found


def answers(trained):
    """Logits by numpy, image by image: ``(R, N, classes)``."""
    relu = trained.arm.network is toy.SMALL
    names = [name.removesuffix(".weight") for name in trained.parameters if "weight" in name]
    found = []
    for r in range(len(trained.seeds)):
        rows = []
        for image in trained.data.test_inputs.double().numpy():
            x = image.reshape(-1)
            for name in names:
                weight = trained.parameters[f"{name}.weight"][r].double().numpy()
                x = weight @ x + trained.parameters[f"{name}.bias"][r].double().numpy()
                x = np.maximum(x, 0) if relu and name != names[-1] else x
            rows.append(x)
        found.append(rows)
    return np.array(found)


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
    found = probe(trained_with(parameters, arm=toy.arm(LINEAR)))
    assert found.dtype == torch.float64
    assert found.isnan().tolist() == [False, True, False]


def test_one_image_without_an_answer_is_enough():
    """A weight of infinity times a pixel of zero is the only NaN there is."""
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
    parameters["1.weight"][1] = 1e36  # times a pixel of 255 and added up, beyond float32
    trained = trained_with(parameters, arm=toy.arm(LINEAR))
    assert probes.test_accuracy(trained).isfinite().all()
    assert accuracy_kept_by_bytes(trained).isnan().tolist() == [False, True]


class Overflowing(nn.Module):
    """Answers in evaluation; in training it scales what it says beyond all bounds, now and then."""

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
    with randomness.own(1, "cpu"):  # eight passes of which some overflow
        assert masked_accuracy_error(trained).isnan().all()


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
    found = final_loss(trained_with({"w": torch.zeros(2, 2)}, losses=losses))
    assert found.isnan().tolist() == [False, True]


def test_a_diverged_training_is_seen_as_one():
    huge = toy.arm(initializer=every(normal_(std=1e30)))
    trained = train(huge, SEEDS, toy.data())
    assert final_loss(trained).isnan().all()
    assert probes.test_accuracy(trained).isnan().all()


@pytest.mark.parametrize("of", [final_loss, partial(final_loss), partial(partial(final_loss))])
def test_a_probe_is_called_what_its_function_is(of):
    assert name_of(of) == "final_loss"


def test_the_accuracy_probe_is_no_test_of_pytest():
    assert probes.test_accuracy.__test__ is False
