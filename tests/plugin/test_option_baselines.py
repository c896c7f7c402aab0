"""`--initcheck-baselines`: limits and evidence that cannot be used, and those of no claim."""

from __future__ import annotations

import shutil

import pytest

from tests.helpers.evidence import evidence
from tests.helpers.projects import CLAIMS, HE_APART, MEASURED, ZEROS_STAY, limit


def refused(project, *sentences, option=()):
    """The run ends before training, and says why."""
    result = project.run(*option)
    assert result.ret == 4
    for sentence in sentences:
        assert sentence in result.text
    assert "claims ===" not in result.output


def test_folder_that_is_not_there(project):
    place = project.path / "nowhere"
    refused(project, f"there is no folder {place}", option=(f"--initcheck-baselines={place}",))


def test_folder_without_limits(project):
    place = project.path / "empty"
    place.mkdir()
    option = (f"--initcheck-baselines={place}",)
    fix = "(in pytest: --initcheck-baselines DIR)"
    refused(project, f"There is no {place / 'limits.toml'}", fix, option=option)


def test_other_folder_is_used(project):
    place = project.path / "other"
    (project.path / "baselines").rename(place)
    assert project.run().ret == 4
    assert project.run(f"--initcheck-baselines={place}").ret == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[zeros_stay.weight_magnitude\nmax = 0", "is not valid TOML: Expected ']'"),
        ("\n\nmax == 0", "line 3"),
        (
            ZEROS_STAY.replace("max", "maks"),
            "[zeros_stay.weight_magnitude] has an unknown key 'maks'",
        ),
        (ZEROS_STAY.replace('why = "because"', ""), "lacks 'why'"),
    ],
)
def test_broken_limits(project, text, sentence):
    project.limits(text)
    refused(project, "limits.toml", sentence)


def test_limits_that_are_no_text(project):
    (project.path / "baselines" / "limits.toml").write_bytes(b"\xff\xfe")
    refused(project, "limits.toml cannot be read")


def test_limit_without_a_claim(project):
    project.limits(ZEROS_STAY + limit("zeros_stya", "weight_magnitude", "max = 0"))
    refused(project, "has limits for zeros_stya, but there is no claim of that name")


def test_limit_of_a_test_that_judges_nothing_is_one_without_a_claim(project):
    project.claims("def test_other(): pass", "test_other")
    project.limits(ZEROS_STAY + limit("other", "weight_magnitude", "max = 0"))
    refused(project, "has limits for other")


def test_limit_of_a_claim_in_another_file_is_fine(project):
    project.claims(CLAIMS.replace("zeros_stay", "zeros_remain"), "test_more")
    project.limits(ZEROS_STAY + limit("zeros_remain", "weight_magnitude", "max = 0"))
    assert project.run("test_claims.py").ret == 0


@pytest.mark.parametrize(
    ("name", "ret"),
    [("nobody", 4), ("zeros_stay[relu]", 4), ("zeros_stay", 0)],
)
def test_evidence_without_a_claim(project, name, ret):
    file = project.evidence(name)
    file.parent.mkdir()
    file.write_text(evidence(name))
    result = project.run()
    assert result.ret == ret
    assert (f"has {name}.json, but no claim of that name" in result.text) == (ret == 4)


def test_evidence_of_other_parameters_is_fine_where_one_test_was_asked_for(project):
    parameters = 'import pytest\n@pytest.mark.parametrize("size", ["a", "b"])\n@claim'
    text = CLAIMS.replace("@claim", parameters, 1).replace("(verdict)", "(verdict, size)")
    project.claims(text)
    file = project.evidence("zeros_stay[b]")
    file.parent.mkdir()
    file.write_text(evidence("zeros_stay[b]"))
    assert project.run("test_claims.py::test_zeros_stay[a-cpu]").ret == 0
    assert project.run().ret == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"schema": 1,\n "claim" 2}', "is not JSON at line 2, column 10"),
        ('{"schema": 1, "claim": "zeros_stay"}', "does not fit its schema at the top"),
        ('{"schema": 2, "claim": "zeros_stay", "environments": []}', "its schema at schema"),
        ('{"schema": 1, "claim": "zeros_stay", "environments": [NaN]}', "has a bare NaN"),
    ],
)
def test_broken_evidence(project, text, sentence):
    file = project.evidence("zeros_stay")
    file.parent.mkdir()
    file.write_text(text)
    refused(project, str(file), sentence, "Restore it from version control")


def test_claim_without_a_limit_is_invalid_and_says_what_to_write(project):
    project.claims(CLAIMS + MEASURED)
    result = project.run()
    assert result.ret == 1
    assert "INVALID he_tells_images_apart[cpu]" in result.text
    assert "There is no limit [he_tells_images_apart.logit_spread] in" in result.text


def test_comparison_for_another_device_is_not_judged_and_its_limit_not_missed(project):
    elsewhere = "    verdict.holds(logit_spread, treated=HE, control=ZEROS, only='xpu')\n"
    project.claims(CLAIMS + elsewhere)
    project.limits(ZEROS_STAY + limit("zeros_stay", "logit_spread", "min = 0.1"))
    (result,) = project.results()
    assert result["verdict"] == "pass"
    assert [probe["probe"] for probe in result["probes"]] == ["weight_magnitude"]
    project.claims(CLAIMS + elsewhere.replace("xpu", "cpu"))
    (result,) = project.results()
    assert [probe["probe"] for probe in result["probes"]] == ["weight_magnitude", "logit_spread"]


def test_limit_that_its_claim_does_not_use_is_invalid(project):
    project.limits(ZEROS_STAY + limit("zeros_stay", "weight_magnitud", "max = 0"))
    result = project.run()
    assert result.ret == 1
    assert "the limit [zeros_stay.weight_magnitud] in" in result.text
    assert "was not used by the claim" in result.text


def test_limit_that_one_parameter_uses_is_used(project):
    parameters = 'import pytest\n@pytest.mark.parametrize("probe", ["first", "second"])\n@claim'
    text = CLAIMS.replace("@claim", parameters, 1).replace("(verdict)", "(verdict, probe)")
    text += "    if probe == 'second':\n"
    text += "        verdict.holds(logit_spread, treated=ZEROS, control=HE)\n"
    project.claims(text)
    project.limits(ZEROS_STAY + limit("zeros_stay", "logit_spread", "max = 0"))
    assert project.run().ret == 0
    assert project.run("test_claims.py::test_zeros_stay[first-cpu]").ret == 0
    project.claims(text.replace("'second'", "'third'"))
    assert project.run().ret == 1


def test_limit_may_not_be_of_a_weaker_kind_than_its_claim(project):
    project.limits(ZEROS_STAY.replace("exact", "theorem"))
    refused(project, "is of kind 'theorem', its claim of kind 'exact'")


def test_limit_may_be_of_a_stricter_kind(project):
    project.claims(CLAIMS.replace('"exact"', '"measured"'))
    assert project.results()[0]["probes"][0]["kind"] == "exact"


def test_limit_for_another_form_is_invalid(project):
    project.claims(CLAIMS + MEASURED)
    project.limits(ZEROS_STAY + HE_APART.replace("min", "margin"))
    result = project.run()
    assert result.ret == 1
    assert "Holds needs 'min' or 'max' at [he_tells_images_apart.logit_spread]" in result.text


def test_broken_limits_do_not_hinder_collection(project):
    project.limits("[oops")
    assert project.run("--collect-only").ret == 0


@pytest.mark.parametrize("name", ["claims_test", "check_claims"])
def test_claims_of_a_file_that_pytest_would_collect_are_known(project, name):
    (project.path / "pytest.ini").write_text("[pytest]\npython_files = *_test.py check_*.py\n")
    project.claims(CLAIMS.partition("@claim")[0] + MEASURED, name)
    project.limits(ZEROS_STAY + HE_APART)
    assert project.run("test_claims.py").ret == 0


def nested(project, folder):
    """A second claim with its limit, in a file in another folder of the project."""
    place = project.path / folder
    place.mkdir(parents=True)
    (place / "test_nested.py").write_text(CLAIMS.partition("@claim")[0] + MEASURED)
    (project.path / "tests").mkdir(exist_ok=True)
    (project.path / "test_claims.py").rename(project.path / "tests" / "test_claims.py")
    project.limits(ZEROS_STAY + HE_APART)


@pytest.mark.parametrize("folder", ["tests/sub", "tests/a/b", "more/a/b/c"])
def test_claims_of_any_folder_of_the_project_are_known(project, folder):
    nested(project, folder)
    assert project.run("tests/test_claims.py").ret == 0
    assert project.run(f"{folder}/test_nested.py").ret == 0


def test_claims_of_the_project_are_known_to_baselines_elsewhere(project, tmp_path_factory):
    nested(project, "tests/sub")
    copy = tmp_path_factory.mktemp("copy") / "baselines"
    shutil.copytree(project.path / "baselines", copy)
    assert project.run("tests/test_claims.py", f"--initcheck-baselines={copy}").ret == 0


@pytest.mark.parametrize("folder", [".hidden", "node_modules", "build", "of_venv", "of_conda"])
def test_claims_of_folders_that_pytest_passes_over_are_not_known(project, folder):
    nested(project, f"{folder}/deeper")
    (project.path / "of_conda" / "conda-meta").mkdir(parents=True)
    (project.path / "of_venv").mkdir(exist_ok=True)
    (project.path / "of_venv" / "pyvenv.cfg").touch()
    refused(project, "has limits for he_tells_images_apart", option=("tests/test_claims.py",))


def test_nearest_baselines_win_however_deep_the_claims(project):
    nested(project, "tests/a/b")
    (project.path / "tests" / "baselines").mkdir()
    (project.path / "tests" / "baselines" / "limits.toml").write_text(
        ZEROS_STAY + HE_APART.replace("min = 0.1", "min = 0.2")
    )
    (result,) = project.results("tests/a/b")
    assert result["probes"][0]["limit"]["min"] == 0.2


def test_claim_of_one_name_in_two_files_is_refused(project):
    project.claims(name="test_again")
    refused(project, "test_again.py and test_claims.py both have a claim 'zeros_stay'")
    assert project.run("test_claims.py").ret == 0


def test_claims_of_a_file_that_pytest_would_not_collect_are_not(project):
    project.claims(CLAIMS.partition("@claim")[0] + MEASURED, "unnoticed")
    project.limits(ZEROS_STAY + HE_APART)
    refused(project, "has limits for he_tells_images_apart", option=("test_claims.py",))
