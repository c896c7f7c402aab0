"""No two claims share limits or evidence, and evidence stays in its folder whatever an id says."""

from __future__ import annotations

import pytest

from tests.helpers.projects import CLAIMS, ZEROS_STAY

CPU = "--initcheck-device=cpu"
IDS = """
import pytest
@pytest.mark.parametrize("size", [1, 2], ids=[{first!r}, {second!r}])
@claim"""


def in_classes(*names):
    """The claim, once in each class."""
    head, claim = CLAIMS.split("@claim", 1)
    method = "@claim" + claim.replace("(verdict)", "(self, verdict)")
    indented = method.strip().replace("\n", "\n    ")
    return head + "".join(f"class {name}:\n    {indented}\n\n" for name in names)


def with_ids(project, first, second):
    text = CLAIMS.replace("@claim", IDS.format(first=first, second=second), 1)
    project.claims(text.replace("(verdict)", "(verdict, size)"))


def test_one_class_of_claims_is_judged(project):
    project.claims(in_classes("TestOne"))
    assert project.run(CPU).ret == 0


def test_two_classes_with_one_claim_are_refused(project):
    project.claims(in_classes("TestOne", "TestTwo"))
    result = project.run(CPU)
    assert result.ret == 4
    assert (
        "the class TestOne in test_claims.py and the class TestTwo in test_claims.py both have a "
        "claim 'zeros_stay', which would share limits and evidence. Rename one of them."
    ) in result.text


def test_an_id_cannot_lead_out_of_the_folder_of_evidence(project):
    with_ids(project, "../../../escape", "plain")
    before = {path.name for path in project.path.parent.iterdir()}
    assert project.run(CPU, "--initcheck-record=first").ret == 1
    assert project.evidence("zeros_stay[..%2F..%2F..%2Fescape]").is_file()
    assert project.evidence("zeros_stay[plain]").is_file()
    assert {path.name for path in project.path.parent.iterdir()} == before
    assert project.run(CPU, "--initcheck-require-evidence").ret == 0


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (("x" * 300, "y"), "has an id of 312 characters"),
        (("a/b", "a%2Fb"), "would share one file of evidence. Give their parameters other ids"),
    ],
)
def test_an_id_that_is_no_file_of_its_claim_is_refused_before_training(project, ids, sentence):
    with_ids(project, *ids)
    result = project.run(CPU)
    assert result.ret == 4
    assert sentence in result.text


def test_claims_of_two_folders_of_baselines_are_not_judged_by_one(project):
    for name in ("one", "two"):
        (project.path / name / "baselines").mkdir(parents=True)
        (project.path / name / "baselines" / "limits.toml").write_text(
            ZEROS_STAY.replace("zeros_stay", f"zeros_stay_{name}")
        )
        text = CLAIMS.replace("zeros_stay", f"zeros_stay_{name}")
        (project.path / name / f"test_{name}.py").write_text(text)
    result = project.run(CPU, "one", "two")
    assert result.ret == 4
    assert "one/test_one.py belongs to" in result.text
    assert "run the claims of each on their own" in result.text
    assert project.run(CPU, "two").ret == 0
