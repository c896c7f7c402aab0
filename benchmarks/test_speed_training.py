"""How long training takes: shown and stored, never judged (``test_speed_ratio.py`` judges)."""

import pytest

from initcheck import SGD, Adam, Arm, Recipe, devices, mlp
from initcheck.devices import compute
from initcheck.initializers import (
    every,
    hadamard_,
    he,
    partial_identity_,
    torch_default,
    zeros,
)
from initcheck.notebooks.arms import MIXED_HALF, WIDE, WIDENING
from initcheck.training.train import ENGINES, ready

ROUNDS = 3  # timed, after one that is not
SMALL = mlp(784, 64, 32, 32, 10)  # notebook 001
PLAIN_SGD = SGD(lr=0.1)
MOMENTUM = SGD(lr=1e-3, momentum=0.9)

# The five headline claims and a wide network: an arm, and how many replicas of it.
CASES = {
    "zeroed_layer": (Arm(SMALL, torch_default, Recipe(Adam(lr=1e-2), batch=32, steps=5)), 8),
    "all_zero": (Arm(SMALL, zeros, Recipe(PLAIN_SGD, batch=32, steps=5)), 8),
    "identity": (Arm(WIDENING, every(partial_identity_), Recipe(PLAIN_SGD, batch=16, steps=5)), 4),
    "hadamard": (Arm(WIDENING, every(hadamard_), Recipe(PLAIN_SGD, batch=16, steps=5)), 4),
    "scale": (Arm(MIXED_HALF, he, Recipe(MOMENTUM, batch=32, steps=5)), 4),
    "wide": (Arm(WIDE, every(partial_identity_), Recipe(PLAIN_SGD, batch=16, steps=5)), 1),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_training_speed(benchmark, initcheck_session, initcheck_device, case, engine):
    """Steps of all replicas, one arithmetic thread on the CPU, from modules to trained tensors.

    A round of plain loops goes on where the last one ended: how long it takes hangs on no number.
    """
    arm, replicas = CASES[case]
    data = initcheck_session.laboratory.data(arm.data)
    starts, work = ready(arm, range(replicas), data, initcheck_device)

    def train():
        with compute.threads(1):
            outcome = ENGINES[engine](starts, work)
        devices.synchronize(initcheck_device)
        return outcome

    benchmark.group = f"{case}[{initcheck_device}]"
    outcome = benchmark.pedantic(train, rounds=ROUNDS, warmup_rounds=1)
    assert outcome.losses.shape == (replicas, arm.recipe.steps)
    if benchmark.enabled:
        steps = replicas * arm.recipe.steps
        benchmark.extra_info["replica-steps a second"] = steps / benchmark.stats["median"]
        benchmark.extra_info["engine"] = outcome.engine
