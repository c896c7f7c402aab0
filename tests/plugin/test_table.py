"""The closing table of a run with many claims."""

from __future__ import annotations

from tests.helpers.projects import CLAIMS

PARAMETRIZED = '@pytest.mark.parametrize("n", range(13))\n@claim'


def claim_lines(output):
    return [line for line in output.splitlines() if line.startswith("zeros_stay[")]


def test_every_claim_is_shown_only_with_v(project):
    claims = CLAIMS.replace("@claim", PARAMETRIZED).replace("(verdict)", "(verdict, n)")
    project.claims(f"import pytest\n{claims}")
    usual, verbose = (project.run("--initcheck-device=cpu", *more) for more in ((), ("-v",)))
    assert len(claim_lines(usual.output)) < 5
    assert "claims 13 claims 13 comparisons" in usual.text
    assert "verdicts: 13 pass" in usual.text
    names = [line.partition("  ")[0] for line in claim_lines(verbose.output)]
    assert names == [f"zeros_stay[{n}-cpu]" for n in range(13)]
