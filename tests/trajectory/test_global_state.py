"""Global state: seeded before a loop, restored after it, and without a part in its twins."""

from __future__ import annotations

import itertools
import os
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from initcheck.envelope import sketches
from initcheck.trajectory import twins
from initcheck.trajectory.loops import Loop, TrajectoryError
from initcheck.trajectory.run import run
from tests.trajectory.judging import compared, recorded
from tests.trajectory.test_kinds_of_training import batches, descend, fit, mlp


def unseeded_globals(seed):
    """Draws from every global generator and seeds none."""
    model = mlp()
    with torch.no_grad():
        model[0].weight += torch.from_numpy(np.random.randn(8, 6)).float()  # noqa: NPY002 -- global state is tested
        model[0].bias += random.random()  # noqa: S311 -- global state is tested
    yield model
    for inputs, targets in batches(seed):
        loss = (model(inputs) - targets).square().mean() + torch.rand(())
        loss.backward()
        descend(model, 0.05)
        yield loss


def test_global_generators_are_seeded_by_the_runs_seed():
    reference = recorded(unseeded_globals)
    np.random.seed(99)  # noqa: NPY002 -- as another process would be
    random.seed(99)
    torch.manual_seed(99)
    assert compared(unseeded_globals, reference).r == 0


def state():
    return (
        torch.get_num_threads(), torch.get_default_dtype(), torch.get_default_device(),
        torch.is_grad_enabled(), torch.get_float32_matmul_precision(), Path.cwd(),
        torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist(),  # noqa: NPY002 -- global state is tested
        dict(os.environ),
    )  # fmt: skip


def changes_global_state(seed, folder):
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(True)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(not torch.are_deterministic_algorithms_enabled())
    os.chdir(folder)
    os.environ["LEFT_BY_A_LOOP"] = "1"
    del os.environ["TO_BE_KEPT"]
    with torch.device("cpu"):
        model = mlp()
    yield model
    for loss in (0.2, 0.1):
        with torch.no_grad():
            model[0].weight += loss
        yield loss


@pytest.mark.parametrize("shown", [1, 2, 3])
def test_what_a_loop_changes_is_restored(shown, tmp_path, monkeypatch):
    monkeypatch.setenv("TO_BE_KEPT", "1")
    before = state()

    def training(seed):
        yield from itertools.islice(changes_global_state(seed, tmp_path), shown)
        raise ValueError

    with pytest.raises(TrajectoryError, match="raised ValueError"):
        run(Loop(training, "training"), 0, 5)
    assert state() == before


def test_the_default_dtype_and_device_of_a_loop_do_not_change_its_twins():
    def other_defaults(seed):
        for shown in fit(seed):
            torch.set_default_dtype(torch.float64)
            torch.set_default_device("meta")
            yield shown
            torch.set_default_dtype(torch.float32)
            torch.set_default_device(None)

    for cache in (twins._pool, sketches._drawn):
        cache.cache_clear()
    first = recorded(other_defaults)
    for cache in (twins._pool, sketches._drawn):
        cache.cache_clear()
    plain = recorded(partial(fit, dtype=None))
    assert torch.equal(first.loss_envelope, plain.loss_envelope)
    assert torch.equal(first.tensors["0.weight"].ways, plain.tensors["0.weight"].ways)
