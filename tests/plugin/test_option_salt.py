"""`--initcheck-salt`: other seeds for both stages, the same for the envelope."""

from __future__ import annotations

import pytest

from initcheck.gate import seeds
from tests.helpers.projects import ROOT


def test_salt_draws_other_seeds_and_keeps_the_verdict(project):
    drawn = []
    for option in ((), ("--initcheck-salt=a",), ("--initcheck-salt=b",)):
        (result,) = project.results(*option, "--initcheck-device=cpu")
        assert result["verdict"] == "pass"
        drawn.append(set(result["probes"][0]["seeds"]))
    assert len(set.union(*drawn)) == 3 * len(drawn[0])


def test_same_salt_draws_the_same_seeds():
    assert seeds.stage(1, 5, "a") == seeds.stage(1, 5, "a")


@pytest.mark.parametrize("salt", ["", "a"])
def test_stages_share_no_seed(salt):
    stages = [seeds.stage(n, 64, salt) for n in (seeds.RECORDING, seeds.FIRST, seeds.FRESH)]
    assert len({seed for stage in stages for seed in stage}) == 3 * 64


def test_more_seeds_begin_with_the_same():
    assert seeds.stage(1, 20)[:4] == seeds.stage(1, 4) == seeds.reference()


@pytest.mark.parametrize("salt", ["otter", "heron"])
def test_claim_on_generators_is_green_under_any_salt(project, salt):
    """Its controls are functions of their seed, so they start as recorded whatever ran before."""
    conformance = str(ROOT / "benchmarks" / "test_conformance.py")
    options = (f"--initcheck-salt={salt}", "--initcheck-require-evidence", "--initcheck-device=cpu")
    result = project.run(conformance, "-k", "generator_alone", *options)
    assert result.ret == 0, result.text
