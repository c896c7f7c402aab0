"""Training times, shown and stored but never judged (``test_speed_ratio.py`` judges)."""

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

ROUNDS = 3  # timed, after one warm-up round
TIMED = ("ensemble", "module")  # every device has them; `nox -s accelerator` times replayed steps
SMALL = mlp(784, 64, 32, 32, 10)  # notebook 001
PLAIN_SGD = SGD(lr=0.1)
MOMENTUM = SGD(lr=1e-3, momentum=0.9)

# Arms of the five headline claims and of a wide network, each with its number of replicas.
CASES = {
    "zeroed_layer": (Arm(SMALL, torch_default, Recipe(Adam(lr=1e-2), batch=32, steps=5)), 8),
    "all_zero": (Arm(SMALL, zeros, Recipe(PLAIN_SGD, batch=32, steps=5)), 8),
    "identity": (Arm(WIDENING, every(partial_identity_), Recipe(PLAIN_SGD, batch=16, steps=5)), 4),
    "hadamard": (Arm(WIDENING, every(hadamard_), Recipe(PLAIN_SGD, batch=16, steps=5)), 4),
    "scale": (Arm(MIXED_HALF, he, Recipe(MOMENTUM, batch=32, steps=5)), 4),
    "wide": (Arm(WIDE, every(partial_identity_), Recipe(PLAIN_SGD, batch=16, steps=5)), 1),
}


@pytest.mark.parametrize("engine", TIMED)
@pytest.mark.parametrize("case", CASES)
def test_training_speed(benchmark, initcheck_session, initcheck_device, case, engine):
    """Times all replicas from modules to trained tensors, with one arithmetic thread on the CPU.

    A round of plain loops continues from the last one, which does not change how long it takes.
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
