"""`--initcheck-data-root`: where torchvision's data lies, and what becomes of a claim without."""

from __future__ import annotations

import pytest

from initcheck.results import read
from tests.helpers.projects import CLAIMS, ZEROS_STAY


@pytest.fixture
def needy(project):
    """A project whose claim needs the full MNIST."""
    data = CLAIMS.replace("he, RECIPE", 'he, RECIPE, "mnist"')
    project.claims(data.replace("zeros, RECIPE", 'zeros, RECIPE, "mnist"'))
    return project


def test_root_that_is_no_folder_is_refused(project):
    for place in (project.path / "nowhere", project.path / "test_claims.py"):
        result = project.run(f"--initcheck-data-root={place}")
        assert result.ret == 4
        assert f"there is no folder {place}" in result.text


def test_claim_without_data_that_nobody_demanded_is_skipped(needy):
    needy.claims("def test_other(): pass", "test_other")
    result = needy.run()
    assert "1 skipped" in result.text
    assert "1 claim skipped: The data set 'mnist' was requested, but not" in result.text
    assert "Name the folder that has it with `--initcheck-data-root DIR`" in result.text


def test_run_of_skipped_claims_only_is_not_green(needy):
    assert needy.run().ret == 4


def test_skipped_claim_is_not_in_the_results(needy):
    assert needy.results() == []


def test_data_missing_from_the_root_that_was_given_are_invalid(needy):
    result = needy.run(f"--initcheck-data-root={needy.path}")
    assert result.ret == 1
    assert "INVALID zeros_stay[cpu]" in result.text
    assert "these files are missing" in result.text
    assert "train-images-idx3-ubyte" in result.text


def test_truncated_data_are_invalid(needy):
    raw = needy.path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{part}-ubyte").write_bytes(b"\0\0\x08\x03")
    result = needy.run(f"--initcheck-data-root={needy.path}")
    assert result.ret == 1
    assert "INVALID zeros_stay[cpu]" in result.text
    assert "bytes, expected 16" in result.text


def test_unknown_data_set_is_invalid(project):
    project.claims(CLAIMS.replace("he, RECIPE", 'he, RECIPE, "mnits"'))
    result = project.run()
    assert result.ret == 1
    assert "There is no data set 'mnits'" in result.text


LATER = """
    verdict.holds(weight_magnitude, treated=ZEROS, control=HE, case="before")
    {then}
    far = [Arm(NETWORK, start, RECIPE, "mnist") for start in (zeros, he)]
    verdict.holds(weight_magnitude, treated=far[0], control=far[1])
"""


@pytest.mark.parametrize("then", ["", "import pytest; pytest.skip('not today')"])
@pytest.mark.parametrize(
    ("limits", "ret", "said"),
    [
        (ZEROS_STAY, 4, "1 skipped"),
        (ZEROS_STAY.replace("max = 0", "max = -1"), 1, "REFUTED zeros_stay[cpu]"),
    ],
    ids=["green", "red"],
)
def test_red_comparison_is_not_skipped_with_those_after_it(project, then, limits, ret, said):
    project.claims(CLAIMS.rpartition("    verdict.holds")[0] + LATER.format(then=then))
    project.limits(limits)
    result = project.run("--initcheck-json=r.json")
    assert (result.ret, said in result.text) == (ret, True), result.output
    if ret == 1:
        assert "hen skipped: " in result.text
        assert [probe.case for probe in read("r.json").results[0].probes] == ["before"]
