"""Speed, judged: the ratio of two engines that take turns, on machines quiet enough to tell."""

import pytest

from initcheck import Adam, Arm, Recipe, devices, mlp
from initcheck.devices import compute
from initcheck.initializers import torch_default
from initcheck.stats import speed
from initcheck.training import ensemble, plain
from initcheck.training.train import ready

REPLICAS, STEPS = 8, 3
ARM = Arm(mlp(784, 64, 32, 32, 10), torch_default, Recipe(Adam(lr=1e-2), batch=32, steps=STEPS))
LIMIT = 0.5  # of the module engine's time; measured from a quarter to a sixth


def test_ensemble_takes_half_the_time_of_plain_loops(initcheck_session, initcheck_device):
    """The ensemble engine trains eight small networks in at most half the time of eight loops.

    Loops train the modules themselves, so each call continues from the last one; the ensemble
    leaves its modules at their start. The time does not depend on the values of the weights.
    """
    data = initcheck_session.laboratory.data(ARM.data)
    starts, work = ready(ARM, range(REPLICAS), data, initcheck_device)

    def call(engine):
        def train():
            engine(starts, work)
            devices.synchronize(initcheck_device)

        return train

    with compute.threads(1):
        found = speed.compare(call(ensemble.run), call(plain.run), limit=LIMIT)
    if found.verdict == "invalid":
        pytest.skip(found.sentence)  # too noisy to judge: neither green nor a fault of the code
    assert found.verdict == "pass", found.sentence
