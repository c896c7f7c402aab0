"""An arm without steps is measured at its start, and its envelope reports that."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from initcheck import datasets
from initcheck.arms import SGD, Arm, Optimizer, Recipe
from initcheck.envelope import twins
from initcheck.gate import reference
from initcheck.initializers import he
from initcheck.networks import Network, mlp
from initcheck.probes import final_loss, first_loss
from initcheck.probes import test_accuracy as accuracy
from initcheck.training.train import train

ENGINES = ("ensemble", "module")
ARM = Arm(mlp(784, 8, 10), he, Recipe(SGD(lr=0.1), batch=16, steps=0))


@pytest.fixture(params=ENGINES)
def trained(request):
    return train(ARM, (3, 4), datasets.load("mnist5k"), engine=request.param)


def test_parameters_stay_at_their_start(trained):
    for name, start in trained.start.items():
        assert torch.equal(start, trained.parameters[name])


def test_accuracy_is_that_of_the_start(trained):
    x, targets = trained.data.test_inputs, trained.data.test_targets
    right = trained.logits(x, at_start=True).argmax(-1) == targets
    assert accuracy(trained).tolist() == pytest.approx(right.double().mean(-1).tolist())


def test_a_network_that_cannot_be_stacked_keeps_its_start():
    class Own(torch.nn.Module):
        """A custom module, which has no stacked form."""

        def __init__(self):
            super().__init__()
            self.output = torch.nn.Linear(784, 10)

        def forward(self, x):
            return self.output(x.flatten(1)) * 2

    arm = Arm(Network("own", Own), he, ARM.recipe)
    trained = train(arm, (3, 4), datasets.load("mnist5k"))
    assert torch.equal(trained.start["output.weight"], trained.parameters["output.weight"])


WITHOUT_OPTIMIZER = """
import sys
from initcheck import datasets
from tests.training.test_no_steps import ARM
from initcheck.training.train import train
train(ARM, (3, 4), datasets.load("mnist5k"), engine=sys.argv[1])
assert "torch._dynamo" not in sys.modules
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_no_optimizer_is_made(engine):
    """The first optimizer of a process imports torch's compiler, which takes seconds."""
    command = [sys.executable, "-c", WITHOUT_OPTIMIZER, engine]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True)


def test_losses_are_nan(trained):
    assert first_loss(trained).isnan().all()
    assert final_loss(trained).isnan().all()


def test_envelope_is_recorded_and_followed(trained):
    disturbed = train(ARM, (3, 4) * twins.TWINS, trained.data, jitter=reference.twin_jitter(ARM))
    recorded = reference.record(ARM, trained, [disturbed])
    departure = reference.compare(ARM, trained, recorded)
    assert (departure.r, departure.start, departure.left) == (None, True, False)
    assert departure.why_not == "it takes no step, and its start is as recorded"


def test_envelope_sees_another_start(trained):
    recorded = reference.record(ARM, trained, [trained])
    other = replace(train(ARM, (5, 6), trained.data), seeds=trained.seeds)
    assert not reference.compare(ARM, other, recorded).start


def test_custom_optimizer_takes_the_steps():
    class Still(torch.optim.SGD):
        """Takes no step."""

        def step(self, closure=None):
            return None

    recipe = Recipe(Optimizer("Still", (("lr", 0.1),), Still), batch=16, steps=3)
    trained = train(Arm(mlp(784, 8, 10), he, recipe), (3, 4), datasets.load("mnist5k"))
    assert torch.equal(trained.start["output.weight"], trained.parameters["output.weight"])
