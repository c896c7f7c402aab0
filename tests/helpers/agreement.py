"""Asserts that both engines give the same numbers, for an arm on the toy data."""

from __future__ import annotations

import torch

from initcheck.faults.fault import replaced
from initcheck.training import train as training
from initcheck.training.train import train
from tests.helpers import toy

SEEDS = (3, 5, 8)
TOGETHER = 2  # replicas per chunk: of three replicas, one chunk has two and one has one
EPSILONS = 100  # machine epsilons of the largest entry after twelve steps; measured: at most 11


def assert_engines_agree(arm, *, named="ensemble"):
    with replaced(training, "MOST_REPLICAS", TOGETHER):
        ours = train(arm, SEEDS, toy.data())
    plain = train(arm, SEEDS, toy.data(), engine="module")
    assert (ours.engine, plain.engine) == (named, "module")
    assert_same(ours.parameters, plain.parameters)
    assert_same(ours.buffers, plain.buffers)
    eps = torch.finfo(plain.data.train_inputs.dtype).eps
    assert ((ours.losses - plain.losses).abs() / plain.losses).max() < EPSILONS * eps
    assert (plain.losses[:, 0] != plain.losses[:, -1]).all()


def assert_same(ours, plain):
    assert list(ours) == list(plain)
    for name, tensor in plain.items():
        assert ours[name].dtype == tensor.dtype
        if tensor.is_floating_point():
            assert toy.distance(ours[name], tensor) < EPSILONS, name
        else:
            assert torch.equal(ours[name], tensor), name
