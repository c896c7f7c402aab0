"""Checks ``outliers`` and ``dtype``."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection.extremes import beyond
from initcheck.inspection.precision import in_single
from tests.inspection import faulty, faulty_law


def found(build, check):
    """The findings of a check."""
    inspection = inspect_model(build, name="model")
    assert check in inspection.judged.checks, str(inspection)
    return [each for each in inspection.findings if each.check == check]


FAULTY = [
    (faulty_law.inverse_cdf, "outliers", "fail", "weight", "entries are exactly -2"),
    (faulty_law.inverse_cdf, "dtype", "warn", "weight", "instead of 0.02"),
    (faulty_law.inverse_cdf_without_ends, "outliers", "fail", "weight", "are infinite or NaN"),
    (faulty.nan_from_the_start, "outliers", "fail", "bias", "5 of 5 entries are infinite or NaN"),
    (faulty_law.identity_with_noise, "dtype", "warn", "weight", "the standard deviation is"),
    (faulty_law.Angles, "dtype", "warn", "table", "entries differ by up to"),
]


@pytest.mark.parametrize(
    ("build", "check", "severity", "name", "message"), FAULTY,
    ids=[f"{build.__name__}-{check}" for build, check, *_ in FAULTY],
)  # fmt: skip
def test_a_fault_of_precision_is_found(build, check, severity, name, message):
    (finding,) = found(build, check)
    assert (finding.severity, finding.parameters) == (severity, (name,))
    assert message in finding.message


def _with(change, *, dtype=torch.float32):
    module = nn.Linear(64, 64, dtype=dtype)
    nn.init.normal_(module.weight, std=0.02)
    with torch.no_grad():
        change(module.weight)
    return module


def _forget_gate():
    module = nn.LSTM(64, 64)
    with torch.no_grad():
        module.bias_ih_l0[64:128] = 5
    return module


def _unwritten():
    module = nn.Linear(64, 64)
    module.bias = nn.Parameter(torch.empty(64))
    return module


SOUND = {
    "a large diagonal": partial(_with, lambda weight: weight.fill_diagonal_(1)),
    "a large diagonal in bfloat16": partial(
        _with, lambda weight: weight.fill_diagonal_(1), dtype=torch.bfloat16
    ),
    "heavy tails": partial(_with, lambda weight: weight.cauchy_()),
    "log-normal": partial(_with, lambda weight: weight.log_normal_(0, 2)),
    "sparse": partial(_with, lambda weight: nn.init.sparse_(weight, 0.9)),
    "signs": partial(_with, lambda weight: weight.bernoulli_().mul_(2).sub_(1)),
    "the inverse in float32": partial(faulty_law.inverse_cdf, torch.float32),
    "the identity with noise in float32": partial(faulty_law.identity_with_noise, torch.float32),
    "bfloat16": lambda: nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64)).bfloat16(),
    "truncated in float16": partial(_with, nn.init.trunc_normal_, dtype=torch.float16),
    "a forget gate": _forget_gate,
}  # fmt: skip


@pytest.mark.parametrize("case", SOUND)
def test_what_is_right_is_silent(case):
    for check in ("outliers", "dtype"):
        assert not found(SOUND[case], check)


def test_memory_that_nobody_wrote_is_not_named_twice():
    assert not found(_unwritten, "outliers")


def test_a_build_that_needs_its_precision_is_named():
    def build():
        module = nn.Linear(4, 4, dtype=torch.bfloat16)
        assert module.weight.dtype == torch.bfloat16
        return module

    inspection = inspect_model(build, name="model")
    assert any(each.check == "dtype" and "cannot be built in float32" in each.why
               for each in inspection.not_judged)  # fmt: skip


def test_every_way_to_ask_for_low_precision_gives_single():
    with in_single():
        torch.set_default_dtype(torch.bfloat16)
        tensors = [
            torch.zeros(2), torch.zeros(2, dtype=torch.float16), torch.zeros(2).half(),
            torch.zeros(2).to(torch.bfloat16), nn.Linear(2, 2, dtype=torch.float16).weight,
            nn.Linear(2, 2).bfloat16().weight, torch.ones(2, dtype=torch.float32),
        ]  # fmt: skip
    assert {each.dtype for each in tensors} == {torch.float32}
    assert torch.get_default_dtype() == torch.float32
    assert torch.zeros(2).half().dtype == torch.float16


LAWS = {
    "normal": lambda tensor: tensor.normal_(),
    "uniform": lambda tensor: tensor.uniform_(-1, 1),
    "truncated": lambda tensor: nn.init.trunc_normal_(tensor, std=0.02),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("law", LAWS)
def test_draws_are_beyond_no_more_often_than_stated(law, dtype):
    """At the level 0.01, of 2,000 tensors of 64 to 4,096 entries at most 40 are beyond."""
    torch.manual_seed(8)
    told = 0
    for n in range(2000):
        tensor = LAWS[law](torch.empty(64 * (1, 4, 64)[n % 3], dtype=dtype))
        told += beyond(tensor, 0.01) is not None
    assert told <= 40


def test_two_builds_in_low_precision_keep_their_law():
    """The stated rate is 1e-4 for each module; of 50 none warns."""
    for seed in range(50):

        def build(seed=seed):
            torch.manual_seed(seed)
            return nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 4)).bfloat16()

        assert not found(build, "dtype")
