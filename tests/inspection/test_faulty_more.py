"""Faults from public threads: which are found, and which are known to be missed."""

from __future__ import annotations

import re

import pytest

from initcheck import inspect_model
from tests.helpers.projects import ROOT
from tests.inspection import faulty_later as later
from tests.inspection import faulty_more as more
from tests.inspection.faulty import rows
from tests.inspection.finding import demand

FOUND = [
    (more.AttentionVector, "written", "fail", "attention"),
    (more.SkippedByAFlag, "written", "fail", "weight"),
    (later.PlainEmpty, "written", "fail", "positions"),
    (later.uninitialized_transitions, "written", "fail", "transitions"),
    (later.BufferOfGarbage, "written", "fail", "mean"),
    (later.WrittenByHalf, "written", "fail", "weight"),
    (later.ResizedInPlace, "written", "fail", "embedding.weight"),
    (later.EmptyOfNumpy, "written", "fail", "weight"),
    (later.NumbersOfNumpy, "rebuilt", "fail", "weight"),
    (later.FixedNumbersOfNumpy, "rebuilt", "fail", "weight"),
    (later.seed_that_is_dropped, "rebuilt", "fail", "1.weight"),
    (more.same_seed_for_each_layer, "distinct", "warn", "2.weight"),
    (later.ClonesOfALayer, "distinct", "warn", "layers.2.bias"),
    (later.EnsembleOfOne, "distinct", "fail", "critics.1.2.bias"),
    (later.TiedByData, "distinct", "warn", "head.weight"),
    (more.ReusedSlot, "asleep", "fail", "b"),
    (later.adapter_zeroed_by_the_model, "asleep", "fail", "a"),
    (later.ZeroGateAndZeroNorm, "asleep", "fail", "gate"),
    (later.SaturatedGate, "asleep", "fail", "gate.bias"),
    (later.ExpandedQueries, "units", "warn", "queries"),
    (later.HeadsOfOneDraw, "units", "warn", "projection.weight"),
    (later.TableOfOneRow, "units", "warn", "embedding.weight"),
    (more.GainsOfANorm, "scale", "warn", "norm.weight"),
    (more.brackets_missing, "start_loss", "warn", "2.weight"),
    (more.dead_by_random_biases, "start_loss", "warn", "2.weight"),
]

MISSED = [
    more.AttentionWithoutBias, more.DepthScaledGate, more.InitOfATensor,
    later.BothFactorsRandom, later.TransposedCopy, later.ShardsOfOneSeed,
]  # fmt: skip


def test_parameters_in_a_list_are_named():
    """No parameter can be blamed, so they are not judged."""
    inspection = inspect_model(later.ParameterInAList, rows)
    assert "not judged  all: hidden.0-1.weight, hidden.0-1.bias: it is in a plain" in str(
        inspection
    )


@pytest.mark.parametrize(
    ("build", "check", "severity", "parameter"), FOUND, ids=[build.__name__ for build, *_ in FOUND]
)
def test_a_fault_is_found(build, check, severity, parameter):
    demand(build, check, severity, parameter)


@pytest.mark.parametrize("build", MISSED, ids=lambda build: build.__name__)
def test_what_is_missed_is_said(build):
    """If one of these is found, it belongs above, and no longer in the list of the page."""
    inspection = inspect_model(build, rows)
    assert not inspection.of_severity("fail", "warn"), str(inspection)
    page = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
    missed = page.partition("## What it does not see")[2]
    assert re.search(rf"`{build.__name__}`", missed)


def test_every_fault_is_in_one_list():
    listed = [build for build, *_ in FOUND] + MISSED + [later.ParameterInAList]
    builds = [
        each for module in (more, later) for each in vars(module).values()
        if callable(each) and getattr(each, "__module__", "") == module.__name__
    ]  # fmt: skip
    assert sorted(map(str, listed)) == sorted(map(str, builds))
    assert set(more.REPORTED) <= set(listed)
