"""Each fault breaks what it says, restores it after any exception, and is bound to a claim."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from initcheck.baselines.limits import LimitEntry, read_limits
from initcheck.faults import FAULTS, bound, find, unbound
from tests.faults.witnesses import SAYS

ROOT = Path(__file__).parents[2]
# torch has Muon from release 2.9 on
WITNESSED = [name for name in FAULTS if name != "muon_is_sgd" or hasattr(torch.optim, "Muon")]


@pytest.mark.parametrize("name", WITNESSED)
def test_fault_breaks_what_it_says_and_is_undone(name):
    assert not SAYS[name]()
    with FAULTS[name].apply():
        assert SAYS[name](), FAULTS[name].breaks
    assert not SAYS[name]()


@pytest.mark.parametrize("name", WITNESSED)
def test_fault_is_undone_after_an_exception(name):
    with pytest.raises(ZeroDivisionError), FAULTS[name].apply():
        raise ZeroDivisionError
    assert not SAYS[name]()


# --- the list -------------------------------------------------------------------------------------


def test_every_fault_has_a_witness_and_a_sentence():
    assert SAYS.keys() == FAULTS.keys()
    for fault in FAULTS.values():
        assert fault.breaks.endswith(".")
        assert fault.where in ("torch", "initcheck")


def test_limits_name_faults_that_exist():
    limits = read_limits(ROOT / "baselines" / "limits.toml")
    assert {entry.fault for probes in limits.values() for entry in probes.values()} <= {*FAULTS}


def test_every_fault_is_bound_to_a_claim():
    assert unbound(read_limits(ROOT / "baselines" / "limits.toml")) == ()


def test_faults_kill_claims_that_exist():
    claims = read_limits(ROOT / "baselines" / "limits.toml")
    strangers = {c for fault in FAULTS.values() for c in fault.kills} - claims.keys()
    assert strangers == set()


def entry(claim, fault):
    return LimitEntry(claim, "probe", unit="", kind="exact", why="", fault=fault, high=0.0)


def test_faults_are_bound_by_limits_and_by_themselves():
    limits = {
        "he_beats_randn": {"probe": entry("he_beats_randn", "leaky_relu")},
        "other": {"probe": entry("other", "no_such_fault")},
    }
    assert bound(limits)["leaky_relu"] == ("he_beats_randn",)
    assert bound(limits)["lr_halved"] == ("he_beats_randn",)
    assert bound(limits)["weight_decay"] == ("he_beats_randn",)
    assert "clamp_for_truncation" in unbound(limits)


def test_unknown_fault_like_no_other_is_answered_without_a_list():
    with pytest.raises(ValueError, match=r"no fault 'qqq'\. `initcheck explain CLAIM` names those"):
        find("qqq")


def test_unknown_fault_is_answered_with_near_ones():
    with pytest.raises(ValueError, match=r"There is no fault 'lr_halfed'\. Did you mean lr_halved"):
        find("lr_halfed")
