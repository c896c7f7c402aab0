"""`--initcheck-init MODULE:FUNCTION`: the user's own initializer in the conformance claims."""

from __future__ import annotations

import pytest

from tests.helpers.projects import CLAIMS, ROOT, ZEROS_STAY

CONFORMANCE = str(ROOT / "benchmarks" / "test_conformance.py")
MINE = """
import random

import numpy
import torch
from initcheck.initializers import every

def small_(tensor, generator):
    return tensor.normal_(std=0.01, generator=generator)

def careless_(tensor, generator):
    return tensor.normal_()

def refused_(tensor, generator, third):
    pass

def ignores_(tensor, generator):
    return tensor.normal_()

def numpy_(tensor, generator):
    return tensor.copy_(torch.from_numpy(numpy.random.standard_normal(tuple(tensor.shape))))

def python_(tensor, generator):
    values = [random.random() for _ in range(tensor.numel())]
    return tensor.copy_(torch.tensor(values).view_as(tensor))

def one_seed_(tensor, generator):
    return tensor.normal_(generator=torch.Generator().manual_seed(7))

def restarted_(tensor, generator):
    return tensor.normal_(generator=torch.Generator().manual_seed(generator.initial_seed()))

def global_(tensor):
    return tensor.normal_()

number = 7
careless = every(careless_, name="careless")
"""
CPU = "--initcheck-device=cpu"


@pytest.fixture
def mine(project):
    """A project whose claim uses `initcheck_init`, next to a module with initializers."""
    project.claims(MINE, "mine")
    text = CLAIMS.replace("(verdict)", "(verdict, initcheck_init)")
    project.claims(text.replace("control=HE", "control=Arm(NETWORK, initcheck_init, RECIPE)"))
    return project


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere_at_all:small_", "there is no module 'nowhere_at_all'"),
        ("mine:missing_", "The module mine has no function 'missing_'"),
        ("mine:number", "The module mine has no function 'number'"),
        ("mine:refused_", "cannot be called"),
        ("broken:small_", "The module broken cannot be imported: SyntaxError"),
        ("mine", "'mine' is not MODULE:FUNCTION"),
    ],
)
def test_what_cannot_be_found_is_refused(mine, name, sentence):
    mine.claims("def small_(", "broken")
    result = mine.run(f"--initcheck-init={name}")
    assert result.ret == 4
    assert sentence in result.text


def test_without_it_a_packaged_one_is_judged(mine):
    (result,) = mine.results(CPU)
    assert result["id"] == "zeros_stay[he_normal_-cpu]"
    assert result["verdict"] == "pass"


def test_each_given_one_is_judged_by_name(mine):
    results = mine.results(CPU, "--initcheck-init=mine:small_", "--initcheck-init=mine:careless")
    assert [result["id"] for result in results] == [
        "zeros_stay[small_-cpu]", "zeros_stay[careless-cpu]",
    ]  # fmt: skip
    assert results[0]["probes"][0]["control_name"] == "small_"


def test_careless_initializer_does_not_conform(mine):
    """It draws from torch's shared generator, so that no two builds are alike."""
    import torch

    options = (CONFORMANCE, "-k", "generator_alone", CPU, "--initcheck-seeds=2")
    with torch.random.fork_rng(devices=[]):
        careless = mine.run(*options, "--initcheck-init=mine:careless")
    assert careless.ret == 1
    assert "REFUTED" in careless.text
    assert mine.run(*options, "--initcheck-init=mine:small_").ret == 0


def test_start_that_is_not_a_function_of_its_seed_does_not_conform(mine):
    """`global_` takes no generator, so torch's global one is seeded for it."""
    wrong = {
        "ignores_": {"rebuilt_apart", "seeds_alike", "layers_alike"},
        "numpy_": {"rebuilt_apart"},
        "python_": {"rebuilt_apart"},
        "one_seed_": {"seeds_alike", "layers_alike"},
        "restarted_": {"layers_alike"},
        "global_": set(),
    }
    given = [f"--initcheck-init=mine:{name}" for name in wrong]
    results = mine.results(CONFORMANCE, "-k", "generator_alone", CPU, *given)
    assert {
        result["id"].rpartition("[")[2].removesuffix("-cpu]"): {
            probe["probe"] for probe in result["probes"] if probe["verdict"] != "pass"
        }
        for result in results
    } == wrong


def test_initializer_that_no_selected_test_takes_is_not_green(mine):
    mine.claims(CLAIMS.replace("stay", "remain"), "test_others")
    mine.limits(ZEROS_STAY + ZEROS_STAY.replace("stay", "remain"))
    given = "--initcheck-init=mine:small_"
    assert mine.run(CPU, given).ret == 0
    for selected in (("test_others.py",), ("-k", "remain")):
        result = mine.run(CPU, given, *selected)
        assert result.ret == 4
        assert "--initcheck-init mine:small_: no selected test uses an initializer" in result.text


def test_workers_tell_whether_the_initializer_was_taken(mine):
    pytest.importorskip("xdist")
    mine.claims("def test_other(): pass", "test_other")
    taken = mine.start("-n1", CPU, "--initcheck-init=mine:small_", "test_claims.py")
    assert taken.ret == 0, taken.output
    assert mine.start("-n1", "--initcheck-init=mine:small_", "test_other.py").ret == 4


def test_its_evidence_is_not_recorded(mine):
    result = mine.run(CPU, "--initcheck-init=mine:small_", "--initcheck-record=why")
    assert result.ret == 4
    assert "--initcheck-record is refused with --initcheck-init" in result.text
    assert not (mine.path / "baselines" / "evidence").exists()
    assert mine.run(CPU).ret == 0
