"""`--initcheck-device`: asking for a device is a demand."""

from __future__ import annotations

import pytest

from initcheck import devices
from initcheck.gate import verdict
from tests.helpers import projects


@pytest.mark.parametrize("name", ["cuda:77", "meta", "nonsense"])
def test_missing_device_ends_before_collection(project, name):
    project.claims("raise SystemExit('collected')")
    result = project.run(f"--initcheck-device={name}")
    assert result.ret == 4
    said = result.text
    assert f"Device '{name}' was requested but cannot be used" in said
    assert "--initcheck-device cpu" in said
    assert "collected" not in said


def test_device_comes_last_in_the_id(project):
    result = project.run("--initcheck-device=cpu", "--collect-only", "-q")
    assert "::test_zeros_stay[cpu]" in result.output


def test_no_device_is_refused(project):
    result = project.run("--initcheck-device=,")
    assert result.ret == 4
    assert "--initcheck-device: names no device" in result.text


def test_variable_demands_too(project, monkeypatch):
    monkeypatch.setenv("INITCHECK_DEVICE", "nonsense")
    result = project.run()
    assert result.ret == 4
    assert "'nonsense' was requested" in result.text


def test_command_line_wins_over_the_variable(project, monkeypatch):
    monkeypatch.setenv("INITCHECK_DEVICE", "nonsense")
    assert project.run("--initcheck-device=cpu").ret == 0


def test_ini_key_demands_too(project):
    (project.path / "pytest.ini").write_text("[pytest]\ninitcheck_device = nonsense\n")
    assert project.run().ret == 4


def test_auto_runs_what_works(project):
    ran = {result["device"] for result in project.results()}
    assert ran == set(devices.available())


def test_device_whose_claims_are_deselected_is_not_green(project):
    project.claims("def test_other(): pass", "test_other")
    result = project.run("--initcheck-device=cpu", "-k", "other")
    assert result.ret == 4
    assert "cpu was requested, but no claim ran on it" in result.text


def test_device_whose_claims_are_skipped_is_not_green(project):
    skipping = "import pytest\npytestmark = pytest.mark.skip(reason='not today')\n"
    (project.path / "test_claims.py").write_text(
        skipping + (project.path / "test_claims.py").read_text()
    )
    result = project.run("--initcheck-device=cpu")
    assert result.ret == 4
    assert "1 claim skipped: not today" in result.text


def test_claims_that_are_all_skipped_are_not_green_on_auto(project):
    (project.path / "conftest.py").write_text(
        "import pytest\ndef pytest_runtest_setup(item): pytest.skip('not today')"
    )
    assert project.run().ret == 4


def test_demand_meant_for_the_gate_leaves_other_tests_alone(project, monkeypatch):
    monkeypatch.setenv("INITCHECK_DEVICE", "cpu")
    project.claims("def test_other(): pass")
    assert project.run().ret == 0
    assert project.run("--initcheck-device=cpu").ret == 4


def test_collecting_only_is_green(project):
    assert project.run("--initcheck-device=cpu", "--collect-only").ret == 0


def test_selecting_nothing_is_not_green(project):
    assert project.run("-k", "nothing").ret == 5
    assert project.run("-k", "nothing", "--initcheck-device=cpu").ret == 4


FLOAT64 = """
@claim(source="a test", kind="exact")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_stay(verdict, dtype):
    \"\"\"Weights that start at zero stay there.\"\"\"
    recipe = Recipe(SGD(lr=0.1), batch=32, steps=5, dtype=dtype)
    verdict.holds(
        weight_magnitude, treated=Arm(NETWORK, zeros, recipe), control=Arm(NETWORK, he, recipe)
    )
"""


def test_a_claim_in_float64_is_skipped_where_there_is_none(project, monkeypatch):
    """That it holds elsewhere says nothing of this device, and it is no failure of it."""
    project.claims("import pytest\n" + projects.CLAIMS.partition("@claim")[0] + FLOAT64)
    monkeypatch.setattr(verdict.devices, "has_float64", lambda name: False)
    found = project.run("--initcheck-device=cpu", "-rs")
    assert found.ret == 0
    assert "1 passed, 1 skipped" in found.text
    assert "'cpu' has no float64, in which zeros is to be trained" in found.text
