"""The closing table of a run with many claims."""

from __future__ import annotations

import re

from initcheck.plugin import unmet
from initcheck.report.markdown import summary
from initcheck.results import read
from tests.helpers.projects import CLAIMS

PARAMETRIZED = '@pytest.mark.parametrize("n", range(13))\n@claim'


def claim_lines(output):
    return [line for line in output.splitlines() if line.startswith("zeros_stay[")]


def test_every_claim_is_shown_only_with_v(project):
    claims = CLAIMS.replace("@claim", PARAMETRIZED).replace("(verdict)", "(verdict, n)")
    project.claims(f"import pytest\n{claims}")
    files = ("--initcheck-json=results.json", "--initcheck-html=page.html")
    usual, verbose = (project.run("--initcheck-device=cpu", *more) for more in ((), ("-v", *files)))
    assert len(claim_lines(usual.output)) < 5
    assert "13 claims in 1 mechanism on cpu, 13 comparisons, " in usual.text
    assert "claims 13 claims 13 comparisons" in verbose.text
    assert "verdicts: 13 pass" in verbose.text
    names = [line.partition("  ")[0] for line in claim_lines(verbose.output)]
    assert names == [f"zeros_stay[{n}-cpu]" for n in range(13)]
    # Claims that differ in their parameters only differ in every row about them.
    markdown = summary(read("results.json"))
    page = (project.path / "page.html").read_text(encoding="utf-8").replace("<wbr>", "")
    commands = re.sub("</?span>", "", page)
    for n in range(13):
        assert markdown.count(f"|pass|<code>zeros\\_stay\\[{n}-cpu\\]</code>|weight\\_") == 1
        assert page.count(f'<span class="name">zeros_stay[{n}]</span>') == 1
        assert commands.count(f"::test_zeros_stay[{n}-cpu]&#39; --initcheck-device cpu </pre>") == 1


def test_a_skipped_claim_is_named_once(project):
    """Also where the short ending names it."""
    claims = CLAIMS.replace("@claim", PARAMETRIZED).replace("(verdict)", "(verdict, n)")
    skips = '@claim(source="toy", kind="exact")\ndef test_absent(verdict):\n    """It is."""\n'
    project.claims(f"import pytest\n{claims}\n\n{skips}    pytest.skip('no such data')\n")
    for more in ((), ("-v",), ("-k", "absent or zeros_stay[0")):
        assert project.run("--initcheck-device=cpu", *more).text.count(": no such data") == 1


def test_skipped_claims_are_counted_per_reason():
    assert unmet.skipped(["no data", "", "no data"]) == [
        "2 claims skipped: no data",
        "1 claim skipped: no reason was given",
    ]
