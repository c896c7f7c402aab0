"""More kinds of faults, each of which is found, and of odd starts, each of which is right."""

from __future__ import annotations

import re

import pytest

from initcheck import inspect_model
from tests.inspection import faulty_kinds as faulty
from tests.inspection import innocent_kinds as innocent
from tests.inspection.faulty import rows
from tests.inspection.finding import demand

#: Check, severity, and a parameter that the finding names.
FOUND = [
    (faulty.complex_without_phase, "written", "fail", "filter"),
    (faulty.last_expert_not_drawn, "written", "fail", "experts"),
    (faulty.running_variance_not_set, "written", "fail", "variance"),
    (faulty.gate_of_a_copy_left_unset, "written", "fail", "0.bias"),
    (faulty.python_seeded_layout, "rebuilt", "fail", "0.weight"),
    (faulty.numpy_legacy_seed, "rebuilt", "fail", "0.weight"),
    (faulty.generator_made_once, "rebuilt", "fail", "0.weight"),
    (faulty.SplitHeads, "distinct", "warn", "key.weight"),
    (faulty.BranchesOfOne, "distinct", "fail", "branches.1.weight"),
    (faulty.rows_tiled, "units", "warn", "0.weight"),
    (faulty.depthwise_filters_equal, "units", "warn", "1.weight"),
    (faulty.DeadPrompt, "asleep", "fail", "gate"),
    (faulty.zero_convolutions_in_series, "asleep", "fail", "control.0.weight"),
    (faulty.SquaredGate, "asleep", "fail", "gate"),
    (faulty.ClampedScale, "asleep", "fail", "temperature"),
    (faulty.ZeroNormOfWeight, "asleep", "fail", "length"),
    (faulty.variance_for_standard_deviation, "signal", "fail", "25.weight"),
    (faulty.standard_normal_everywhere, "start_loss", "warn", "1.12.weight"),
    (faulty.one_block_by_another_law, "scale", "warn", "4.0.weight"),
    (faulty.one_entry_far_outside, "outliers", "fail", "0.weight"),
    (faulty.parametrized_then_written, "effect", "fail", "0.parametrizations.weight.original"),
    (faulty.padding_drawn_by_a_rule, "units", "warn", "words.weight"),
    (faulty.LostTie, "tied", "fail", "words.weight"),
    (faulty.ResetForgetsScale, "effect", "fail", "weight"),
    (faulty.SlopeWithASign, "first_gradient", "fail", "inner.weight"),
]


def _builds(module):
    return [
        each for name, each in vars(module).items()
        if callable(each) and each.__module__ == module.__name__ and not name.startswith("_")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "check", "severity", "parameter"), FOUND, ids=[build.__name__ for build, *_ in FOUND]
)
def test_a_fault_is_found(build, check, severity, parameter):
    demand(build, check, severity, parameter)


def test_every_fault_is_judged():
    assert [build for build, *_ in FOUND] == _builds(faulty)


@pytest.mark.parametrize("build", _builds(innocent), ids=lambda build: build.__name__)
def test_an_odd_start_is_right(build):
    inspection = inspect_model(build, rows)
    assert not inspection.of_severity("fail", "warn"), str(inspection)
    assert inspection.ok
    assert {"asleep", "signal", "start_loss", "first_gradient"} <= {*inspection.judged.checks}


def test_inputs_that_are_lost_are_not_called_copied_units():
    """The units of the last layer differ; its inputs have become too small to show it."""
    text = str(inspect_model(faulty.variance_for_standard_deviation, rows))
    assert "what its inputs say is lost in rounding" in text
    assert "copies of one" not in text


def test_scaled_cosines_are_explained():
    inspection = inspect_model(innocent.temperature_of_clip, rows)
    (note,) = [each for each in inspection.findings if each.check == "start_loss"]
    assert re.search("Its logits are cosines times a scale", note.message)
