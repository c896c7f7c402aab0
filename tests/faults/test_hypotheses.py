"""Every exact claim and theorem is refuted by its limit once a fault takes away what it assumes."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch

from initcheck.baselines.folder import Baselines
from initcheck.claims import Claim, collect
from initcheck.cli.declared import declared
from initcheck.datasets import DataSet
from initcheck.devices import compute
from initcheck.faults import FAULTS
from initcheck.faults.hypotheses import HYPOTHESES, unlisted
from initcheck.gate.setting import Setting
from initcheck.gate.trainer import Laboratory
from initcheck.gate.verdict import Verdict

ROOT = Path(__file__).parents[2]
BASELINES = Baselines(ROOT / "baselines")
SEEDS = 1  # per stage: one seed outside an exact limit refutes it


class StandIns(Laboratory):
    """Trains on noise in the shape of CIFAR-10, which is not part of the checkout."""

    def data(self, name):
        return cifar() if name == "cifar10" else super().data(name)


@cache
def cifar():
    generator = torch.Generator().manual_seed(3)
    inputs = torch.rand(80, 3, 32, 32, generator=generator)
    targets = torch.arange(80) % 10
    return DataSet("cifar10", inputs, targets, inputs[:20] + 0.0, targets[:20] + 0, 10, "0" * 16)


@pytest.fixture(scope="module")
def claims():
    return collect([str(ROOT / "benchmarks")])


@pytest.fixture(autouse=True)
def arithmetic():
    compute.use_ieee_float32()
    with compute.threads(1):
        yield


def judged(claim: Claim, laboratory: Laboratory) -> Verdict:
    """The verdict of one claim by its limits alone: its record is not read."""
    verdict = Verdict(
        claim.name, claim.claim, "cpu", claim.kind, laboratory, BASELINES,
        Setting(count=SEEDS, judge="outcomes"),
    )  # fmt: skip
    verdict.pairs += declared(claim.item)
    verdict.judge()
    return verdict


def refuted_by_limit(verdict: Verdict) -> bool:
    """Whether the treated arm left the limit of some comparison, and none is worse than that."""
    outside = any("outside the limit" in probe.reason for probe in verdict.probes)
    return outside and verdict.summary() == "refuted"


# --- the list -------------------------------------------------------------------------------------


def test_every_exact_claim_and_theorem_has_a_fault_that_breaks_its_hypothesis(claims):
    missing = unlisted((claim.name, claim.kind) for claim in claims)
    assert not missing, (
        f"No fault takes away what these claims of kind exact or theorem assume: "
        f"{', '.join(missing)}. Add each to a line of initcheck/faults/hypotheses.py whose fault "
        "refutes it by its limit, or write such a fault. A claim that no fault can refute is "
        "measured."
    )


def test_claim_without_a_hypothesis_is_named():
    listed = HYPOTHESES[0].claims[0]
    assert unlisted([("new", "theorem"), ("new", "exact"), (listed, "exact")]) == ("new",)
    assert unlisted([("seen", "measured")]) == ()


def test_hypotheses_name_claims_and_faults_that_exist(claims):
    named = {claim for each in HYPOTHESES for claim in each.claims}
    strangers = named - {claim.name for claim in claims}
    assert not strangers, f"Remove from initcheck/faults/hypotheses.py: {sorted(strangers)}"
    assert {each.fault for each in HYPOTHESES} <= FAULTS.keys()


def test_each_hypothesis_is_one_sentence_listed_once():
    assert all(each.assumed.endswith(".") and each.claims for each in HYPOTHESES)
    twice = Counter((each.fault, claim) for each in HYPOTHESES for claim in each.claims)
    assert set(twice.values()) == {1}
    assert len({each.fault for each in HYPOTHESES}) == len(HYPOTHESES)


# --- each fault -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hypothesis", HYPOTHESES, ids=lambda each: each.fault)
def test_claims_are_refuted_by_their_limits_without_their_hypothesis(hypothesis, claims):
    laboratory, green = StandIns(), {}
    for claim in claims:
        if claim.name in hypothesis.claims:
            with FAULTS[hypothesis.fault].apply():
                verdict = judged(claim, laboratory)
            if not refuted_by_limit(verdict):
                green[claim.claim] = [(each.probe, each.verdict) for each in verdict.probes]
    assert not green, f"{hypothesis.fault} did not refute by its limit: {green}"


def test_claim_with_its_hypothesis_is_not_refuted(claims):
    claim = next(claim for claim in claims if claim.name == "first_step_of_wave_has_rank_one")
    verdict = judged(claim, StandIns())
    assert verdict.summary() == "pass"
    assert not refuted_by_limit(verdict)
