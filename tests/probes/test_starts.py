"""Probes of starts and signals, against slow obvious versions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group, truncnorm
from torch import nn

from initcheck.initializers import he, partial_identity_, torch_default, zeros
from initcheck.probes import signals, starts
from initcheck.training.train import train
from tests.helpers import toy
from tests.helpers.trained import trained_with

WEIGHT = "hidden1.weight"


def normal(*shape, std=1.0, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double() * std


def start(weight, name=WEIGHT):
    return trained_with({name: weight})


# --- laws


def test_kurtosis_of_a_cut_normal_law_is_scipys():
    assert pytest.approx(3 + truncnorm(-2, 2).stats("k"), abs=1e-4) == starts.CUT_KURTOSIS


@pytest.mark.parametrize("factor", [1.0, 1.02])
def test_moment_error_is_in_standard_errors(factor):
    draws = truncnorm(-2, 2).rvs(size=(2, 200, 100), random_state=0) * factor
    std = truncnorm(-2, 2).std()
    found = starts.moment_error(start(torch.tensor(draws)), WEIGHT, std)
    for value, sample in zip(found, draws, strict=True):
        squares = (sample / std) ** 2
        by_hand = abs(squares.mean() - 1) / (squares.std() / math.sqrt(squares.size))
        assert value.item() == pytest.approx(by_hand, rel=0.1, abs=0.05)
    assert (found < 4).all() == (factor == 1.0)


@pytest.mark.parametrize("law", starts.LAWS)
def test_variance_error_knows_its_fans(law):
    variance = {"glorot": 2 / 400, "he": 2 / 300, "lecun": 1 / 300}[law]
    weight = normal(2, 100, 300, std=math.sqrt(variance))
    errors = {
        other: starts.variance_error(start(weight), {WEIGHT: other}).max() for other in starts.LAWS
    }
    assert errors.pop(law) < 4
    assert min(errors.values()) > 20


def test_mean_error_sees_one_layer_off_centre():
    weights = {"a": normal(1, 40, 50), "b": normal(1, 40, 50, seed=1) + 0.2}
    flat = weights["b"].numpy().ravel()
    by_hand = abs(flat.mean()) / (flat.std(ddof=1) / math.sqrt(flat.size))
    assert starts.mean_error(trained_with(weights)).item() == pytest.approx(by_hand)


def test_bound_reached_is_a_share_of_the_laws_bound():
    weight = torch.full((1, 4, 6), 0.25)
    weight[0, 0, 0] = -0.5
    by_hand = 0.5 / math.sqrt(3 * 2 / 6)
    assert starts.bound_reached(start(weight), WEIGHT, "he").item() == pytest.approx(by_hand)


# --- structure


def test_trace_error_takes_square_weights_only():
    weights = {"a": normal(2, 5, 5), "b": normal(2, 5, 5, seed=1), "c": normal(2, 5, 7)}
    found = starts.trace_error(trained_with(weights))
    for r in range(2):
        traces = [np.trace(weights[name][r].numpy()) for name in "ab"]
        assert found[r].item() == pytest.approx(abs(np.mean(traces)) * math.sqrt(2))


def test_traces_of_haar_matrices_have_unit_variance():
    """1,600 traces: their variance has a standard error of .035."""
    traces = np.trace(ortho_group.rvs(16, size=1600, random_state=1), axis1=1, axis2=2)
    assert abs(traces.mean()) < 0.1
    assert 0.85 < traces.var() < 1.15


def test_singular_values_are_held_against_the_gain():
    right = torch.tensor(ortho_group.rvs(6, random_state=2))[None, :, :4] * 2  # 6 x 4
    stretched = right.clone()
    stretched[0] *= 1.5
    assert starts.singular_value_error(start(right), gain=2.0).item() < 1e-12
    both = {"a": right, "b": stretched}
    assert starts.singular_value_error(trained_with(both), gain=2.0).item() == pytest.approx(0.5)


def test_orthonormal_defect_is_the_largest_entry():
    weight = torch.eye(4)[None, :, :3].clone()
    weight[0, 0, 1] = 0.25
    product = weight[0].T @ weight[0] - torch.eye(3)
    found = starts.orthonormal_defect(start(weight), WEIGHT).item()
    assert found == pytest.approx(product.abs().max().item())


def test_identity_distance_is_zero_for_the_identity_alone():
    for shape, far in (((1, 3, 5), 0.0), ((1, 5, 3), 0.0)):
        weight = partial_identity_(torch.empty(shape[1:]), torch.Generator())[None]
        assert starts.identity_distance(start(weight)).item() == far
    assert starts.identity_distance(start(torch.zeros(1, 3, 3))).item() == 1


def test_randomness_is_seen_in_the_weights():
    drawn = train(toy.arm(initializer=he), [1], toy.data())
    none = train(toy.arm(initializer=zeros), [1], toy.data())
    assert starts.randomness_drawn(drawn).tolist() == [1]
    assert starts.randomness_drawn(none).tolist() == [0]


# --- signals


def test_changed_between_follows_what_enters_two_layers():
    network = toy.sequential(nn.Flatten, lambda: nn.Linear(20, 20), nn.ReLU,
                             lambda: nn.Linear(20, toy.CLASSES))  # fmt: skip
    arm = toy.arm(network, initializer=torch_default)
    trained = train(arm, [1, 2], toy.data())
    found = signals.changed_between(trained, "1", "3")
    for r, seed in enumerate((1, 2)):
        module, x = arm.build(seed), toy.data().test_inputs.flatten(1)
        after = torch.relu(module[1](x))
        assert found[r].item() == pytest.approx((after - x).abs().max().item())
    assert signals.changed_between(trained, "2", "2").tolist() == [0, 0]
