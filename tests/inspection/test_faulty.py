"""Every faulty start is found by the right check, with its severity and its parameters."""

from __future__ import annotations

import pytest

from initcheck import inspect_model
from tests.inspection import faulty, innocent

FAULTY = [
    (faulty.copied_blocks, faulty.rows, "distinct", "warn", "0.0.weight"),
    (faulty.TwoHeads, faulty.rows, "distinct", "fail", "second.weight"),
    (faulty.EmptyBias, None, "written", "fail", "bias"),
    (faulty.LegacyBias, None, "written", "fail", "bias"),
    (faulty.ScaledEmpty, None, "written", "fail", "bias"),
    (faulty.HalfWritten, None, "written", "fail", "bias"),
    (faulty.EmptyBuffer, None, "written", "fail", "counts"),
    (faulty.LostBuffer, None, "written", "fail", "frequencies"),
    (faulty.layer_scale, faulty.rows, "effect", "fail", "1.gain"),
    (innocent.Tied, None, "tied", "note", "embedding.weight"),
    (faulty.TieLostInItsState, None, "tied", "fail", "embedding.weight"),
    (faulty.GatesOfOneDraw, faulty.rows, "units", "warn", "cell.weight_ih"),
    (faulty.CopiedFilters, None, "units", "warn", "0.weight"),
    (faulty.HeadsOfAttention, faulty.rows, "units", "warn", "attention.in_proj_weight"),
    (faulty.zero_row, None, "units", "note", "weight"),
    (faulty.deferred_attention, None, "written", "fail", "in_proj_weight"),
    (faulty.Lora, faulty.rows, "asleep", "fail", "a"),
    (faulty.zeroed_rows_of_output, faulty.rows, "asleep", "fail", "0.weight"),
    (faulty.DoubleGate, faulty.rows, "asleep", "fail", "alpha"),
    (faulty.DetachedBranch, faulty.rows, "asleep", "note", "gate.weight"),
    (faulty.DeadByBias, faulty.rows, "asleep", "fail", "0.weight"),
    (faulty.LastOfBidirectional, faulty.rows, "asleep", "note", "cell.weight_hh_l0_reverse"),
    (faulty.constant_inner_seed, None, "rebuilt", "fail", "0.weight"),
    (faulty.seeds_itself, None, "rebuilt", "fail", "1.bias"),
    (faulty.seeds_its_embedding, None, "rebuilt", "fail", "weight"),
    (faulty.ignores_its_seed, None, "rebuilt", "fail", "weight"),
    (faulty.counts_calls, None, "rebuilt", "fail", "bias"),
    (faulty.python_hash, None, "rebuilt", "fail", "weight"),
    (faulty.TieLost, None, "tied", "fail", "embedding.weight"),
    (faulty.cloned_experts, None, "distinct", "warn", "weight"),
    (faulty.two_halves, None, "units", "warn", "0.weight"),
    (faulty.one_copied_unit, None, "units", "warn", "weight"),
    (faulty.ZeroFactorsInADict, faulty.rows, "asleep", "fail", "adapters.a"),
    (faulty.ZeroFactorsByFunction, faulty.rows, "asleep", "fail", "inner.weight"),
    (faulty.PaddingOverwritten, None, "units", "warn", "embedding.weight"),
]


@pytest.mark.parametrize(
    ("build", "batch", "check", "severity", "parameter"),
    FAULTY,
    ids=[build.__name__ for build, *_ in FAULTY],
)
def test_a_fault_is_found(build, batch, check, severity, parameter):
    inspection = inspect_model(build, batch)
    named = [each for each in inspection.findings if parameter in each.parameters]
    assert (check, severity) in [(each.check, each.severity) for each in named], str(inspection)
    assert inspection.ok == (severity != "fail")


def test_nothing_else_is_found_in_half_written():
    (finding,) = inspect_model(faulty.HalfWritten).of_severity("fail", "warn")
    assert finding.value == faulty.CLASSES - 2
    assert finding.line.startswith("tests/inspection/faulty.py:")
