"""The measurements of the gate itself: its arms, their bound, its time and its memory."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from benchmarks.peers import bounds, gate, gate_plan, gate_subset, names
from initcheck import Adam, Arm, Recipe, mlp
from initcheck.initializers import torch_default
from initcheck.notebooks.arms import MNIST_CNN

ARM = {
    "widths": [784, 64, 10], "batch": 32, "steps": 5, "replicas": 20, "dtype": "float32",
    "optimizer": "Adam", "momentum": False,
}  # fmt: skip


def arm(network):
    return Arm(network, torch_default, Recipe(Adam(lr=1e-3), batch=32, steps=5))


def test_a_perceptron_has_widths_and_a_convolution_none():
    assert gate_plan._widths(arm(mlp(784, 64, 10))) == [784, 64, 10]
    assert gate_plan._widths(arm(MNIST_CNN)) is None


def test_every_step_of_every_chunk_is_in_the_bound():
    share = bounds.Gate((ARM, ARM | {"steps": 2}), cores=2)
    kind = (784, 64, 10), 32, torch.float32, "Adam"
    assert share.steps == {(*kind, 10): 7}  # two chunks of ten, seven steps, halved


def test_optimizers_count_by_the_numbers_that_they_move():
    assert bounds._optimizer(ARM) == "Adam"
    assert bounds._optimizer(ARM | {"optimizer": "SGD", "momentum": True}) == "momentum"
    assert bounds._optimizer(ARM | {"optimizer": "OneCounterAdam"}) == "SGD"
    # Adam holds 4 numbers per parameter and moves 7; an addition of halves moves 6.
    assert bounds._additions(60, "Adam") == 70
    assert bounds._halves(50, "Adam").shape == (2, 100)


@pytest.mark.parametrize("widths", [(8, 20, 4), (8, 20, 20)], ids=["narrow", "wide"])
def test_products_of_a_step_are_complete(widths):
    operands = bounds._operands(widths, 3, 2)
    forward = [2 * 2 * 3 * i * o for i, o in pairwise(widths)]
    operations = [2 * a.numel() * b.shape[2] for a, b, _ in operands]
    assert sum(operations) == 3 * sum(forward) - forward[0]  # no gradient of the images
    for a, b, out in operands:
        torch.bmm(a, b, out=out)  # the shapes fit


def test_the_bound_of_the_gate_runs():
    for name in names.BOUNDS:
        assert bounds.TOOLS[name](bounds.Gate((ARM,), cores=1))().size == 0


def test_only_claims_of_notebooks_are_kept():
    def item(**kwargs):
        mark = SimpleNamespace(kwargs=kwargs) if kwargs else None
        return SimpleNamespace(get_closest_marker=lambda name: mark)

    kept, other, timing = item(source="notebook 001"), item(source="arXiv 1502.01852"), item()
    deselected = []

    def pytest_deselected(items):
        deselected.extend(items)

    hook = SimpleNamespace(pytest_deselected=pytest_deselected)
    items = [other, kept, timing]
    gate_subset.pytest_collection_modifyitems(SimpleNamespace(hook=hook), items)
    assert items == [kept]
    assert deselected == [other, timing]


def test_memory_of_child_processes_counts():
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; x = bytearray(1 << 26); print(flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as child:  # fmt: skip
        child.stdout.readline()
        assert child.pid in map(int, gate._family(os.getpid()))
        assert 1 << 26 < gate._proportional(child.pid) < 1 << 28
        child.communicate(b"\n")
    assert gate._family(child.pid) == []
    assert gate._proportional(child.pid) == 0


def test_a_red_gate_is_not_timed():
    with pytest.raises(subprocess.CalledProcessError):
        gate._timed(("-c", "raise SystemExit(1)"))
    with pytest.raises(subprocess.CalledProcessError):
        gate._peak_memory(("-c", "raise SystemExit(1)"))


BUSY = """
import sys, time
sum(range(10 ** 7))
open(sys.argv[1], "w").write(str(time.process_time()))
"""


def test_processor_time_is_that_of_the_child_process(tmp_path):
    file = tmp_path / "seconds"
    _, busy = gate._timed(("-c", BUSY, str(file)))
    assert busy == pytest.approx(float(file.read_text()), abs=0.1)  # the process also has to end


def test_plan_of_the_gate_lists_its_arms():
    plan = json.loads(gate._run(("-m", "benchmarks.peers.gate_plan")))
    bounded = sum(each["steps"] * each["replicas"] for each in plan["perceptrons"])
    assert 0 < bounded < plan["steps"]  # convolutions are left out
