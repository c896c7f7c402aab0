"""A fault names a function by the object, and every module of the package gets the replacement."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType

import pytest

from initcheck import SGD, Arm, Recipe, arms, mlp
from initcheck.faults import FAULTS
from initcheck.faults.fault import wrapped, wrapped_in
from initcheck.gate import reference
from initcheck.gate.comparison import Pair
from initcheck.initializers import torch_default, zeros
from initcheck.probes import unit_spread
from initcheck.training import train as training

MODULES = (arms, training, reference)  # the two others hold ``from initcheck.arms import derived``
PURPOSE = "weights"
ARMS = [Arm(mlp(4, 3, 2), start, Recipe(SGD(lr=0.1), 8, 1)) for start in (zeros, torch_default)]


def seeds():
    return [module.derived(5, PURPOSE) for module in MODULES]


def test_modules_that_imported_a_function_by_name_get_the_replacement():
    before = seeds()
    with wrapped(arms.derived, lambda derived: lambda seed, purpose: derived(seed, purpose) + 1):
        assert seeds() == [seed + 1 for seed in before]
    assert seeds() == before


def test_module_imported_within_the_block_gets_the_original_back(monkeypatch):
    original, late = arms.derived, ModuleType("initcheck.late")
    with wrapped(arms.derived, lambda _: lambda seed, purpose: 7):
        monkeypatch.setitem(sys.modules, "initcheck.late", late)
        late.derived = arms.derived
        assert late.derived(5, PURPOSE) == 7
    assert late.derived is original


def test_replacements_nest():
    before = arms.derived(5, PURPOSE)
    increment = partial(wrapped, around=lambda derived: lambda *args: derived(*args) + 1)
    with increment(arms.derived), increment(arms.derived):
        assert training.derived(5, PURPOSE) == before + 2
    assert training.derived(5, PURPOSE) == before


def test_method_is_replaced_in_its_class():
    treated, control = ARMS
    with FAULTS["arms_swapped"].apply():
        assert Pair(unit_spread, treated, control).control == treated
    assert Pair(unit_spread, treated, control).control == control


def nested():
    return lambda: None


def test_function_that_no_module_holds_is_refused():
    with (
        pytest.raises(ValueError, match="does not exist, or is another function"),
        wrapped(nested(), lambda old: old),
    ):
        pass


def test_function_whose_name_holds_another_one_is_refused():
    original = arms.derived
    with (
        wrapped_in(arms, "derived", lambda old: lambda *args: 7),
        pytest.raises(ValueError, match=r"initcheck\.arms\.derived does not exist"),
        wrapped(original, lambda old: old),
    ):
        pass
