"""The loops of examples/ are repeatable, and one fault of each is named where it is."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from initcheck.trajectory.compare import compare
from initcheck.trajectory.loops import Loop
from initcheck.trajectory.recording import made
from initcheck.trajectory.reference import Reference
from initcheck.trajectory.run import run
from tests.trajectory.changes import Training
from tests.trajectory.faults import FAULTS
from tests.trajectory.innocent import INNOCENT
from tests.trajectory.measure import EXAMPLES, example

STEPS, SEEDS, TWINS = 8, (0, 1), 4  # fewer than usual, so that all takes less than a minute
#: By example: a fault, the first judged step outside, and a part of the tensor's name.
NAMED = {
    "transformer": ("half of a LayerNorm's gain gradient dropped", 0, "blocks.0.norm1.weight"),
    "resnet": ("BatchNorm's momentum .11 for .1", 0, "running_var"),
    "lstm": ("one parameter left out of the optimizer", 0, "head.bias"),
    "mixture": ("router's gradient dropped", 0, "router.weight"),
    "diffusion": ("average of weights decays by .979 for .98", 1, "average."),
    "lora": ("decay on biases", 1, "first.b"),
    "amp": ("dropout active in evaluation", 1, ""),
    "compiled": ("Adam's beta2 .99 for .999", 1, ""),
    "workers": ("data workers with one seed", 1, ""),
}

each_example = pytest.mark.parametrize("name", EXAMPLES)


@cache
def reference(name: str) -> Reference:
    loop = Loop(example(name), name)
    return made(loop, steps=STEPS, seeds=SEEDS, twins=TWINS, reason="test")[0]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def judged(name: str, training: Training):
    return compare([run(Loop(training, name), seed, STEPS) for seed in SEEDS], reference(name))


@each_example
def test_an_example_repeats_bit_by_bit(name):
    before = reference(name)
    assert before.repeats == 0
    found = judged(name, example(name))
    assert found.ok
    assert found.r == 0
    assert found.not_judged == ()


@each_example
def test_an_example_that_takes_a_dtype_has_a_twin_in_float64(name):
    assert (reference(name).float64 == "") == (name != "amp")


@each_example
def test_a_fault_is_named_where_it_is(name):
    fault, step, tensor = NAMED[name]
    reached: list[str] = []
    found = judged(name, FAULTS[fault].applied(example(name), reached))
    assert reached == [fault]
    assert found.verdict == "changed"
    assert found.first_step == step
    assert tensor in found.tensor
    assert judged(name, example(name)).r == 0, "the fault is over"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("resnet", "channels_last"),
        ("transformer", "attention written out"),
        ("mixture", "fused"),
        ("lstm", "mean of squares written out"),
    ],
)
def test_an_innocent_change_is_not_reported(name, change):
    reached: list[str] = []
    found = judged(name, INNOCENT[change].applied(example(name), reached))
    assert reached == [change]
    assert found.ok, found.why
