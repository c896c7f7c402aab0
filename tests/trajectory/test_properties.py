"""What holds of every loop: it follows itself, seeds have no order, rounding stays inside."""

from __future__ import annotations

from functools import partial

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from initcheck.trajectory.compare import compare
from initcheck.trajectory.loops import Loop
from initcheck.trajectory.run import run
from initcheck.trajectory.seeds import FACTOR
from initcheck.trajectory.twins import Disturbance
from tests.trajectory.judging import compared, recorded

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}
LAYERS = {
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "norm": lambda: nn.LayerNorm(8),
    "batch norm": lambda: nn.BatchNorm1d(8),
    "dropout": lambda: nn.Dropout(0.2),
}
loops = st.fixed_dictionaries(
    {
        "optimizer": st.sampled_from(sorted(OPTIMIZERS)),
        "layers": st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=3),
        "lr": st.sampled_from([1e-3, 1e-2]),
        "bias": st.booleans(),
    }
)
few = settings(
    max_examples=6, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


def training(seed, *, optimizer, layers, lr, bias):
    torch.manual_seed(seed)
    middle = [part for kind in layers for part in (nn.Linear(8, 8, bias=bias), LAYERS[kind]())]
    model = nn.Sequential(nn.Linear(6, 8), *middle, nn.Linear(8, 1))
    steps = OPTIMIZERS[optimizer](model.parameters(), lr=lr)
    yield model, steps
    while True:
        inputs = torch.randn(16, 6)
        loss = (model(inputs) - inputs[:, :1]).square().mean()
        loss.backward()
        steps.step()
        steps.zero_grad()
        yield loss


@few
@given(loops)
def test_a_loop_follows_its_own_record_exactly(loop):
    same = compared(partial(training, **loop), recorded(partial(training, **loop)))
    assert (same.verdict, same.r, same.loss_r) == ("unchanged", 0, 0)


@few
@given(loops, st.permutations([0, 1, 2]))
def test_the_order_of_seeds_changes_nothing(loop, order):
    faulty = partial(training, **{**loop, "lr": loop["lr"] * 1.001})
    one = compared(faulty, recorded(partial(training, **loop), seeds=(0, 1, 2)))
    two = compared(faulty, recorded(partial(training, **loop), seeds=order))
    assert (one.r, one.first_step, one.tensor) == (two.r, two.first_step, two.tensor)


@few
@given(loops)
def test_a_run_that_differs_by_rounding_stays_below_the_factor(loop):
    reference = recorded(partial(training, **loop), twins=6)
    plain = Loop(partial(training, **loop), "training")
    runs = [
        run(plain, seed, reference.steps, disturb=Disturbance(seed, 99)) for seed in reference.seeds
    ]
    found = compare(runs, reference)
    assert found.ok
    assert 0 < found.r <= FACTOR
