"""`--initcheck-model`, one item per check, and the fixture `inspect_model`."""

from __future__ import annotations

import pytest

from initcheck.inspection import findings
from tests.cli.test_inspect import MODELS

#: Those that run without a recorded start.
CHECKS = [check for check in findings.CHECKS if check != "recorded_start"]
ALL = "--initcheck-model=inspected_models"


@pytest.fixture
def models(project):
    project.claims(MODELS, "inspected_models")
    return project


def test_each_check_is_one_item(models):
    result = models.run(f"{ALL}:good", "--initcheck-batch=inspected_models:batch", "-v")
    assert result.ret == 0
    assert "initcheck[inspected_models:good]::asleep PASSED" in result.output
    assert f"{len(CHECKS) + 1} passed" in result.output


def test_a_check_that_was_not_judged_is_skipped_with_its_reason(models):
    result = models.run(f"{ALL}:good", "-rs")
    assert f"{len(CHECKS)} passed, 1 skipped" in result.output
    assert "it needs a batch" in result.text


def test_a_fault_fails_its_check_alone(models):
    result = models.run(f"{ALL}:unset")
    assert result.ret == 1
    assert f"1 failed, {len(CHECKS) - 1} passed, 1 skipped" in result.output
    assert "3 of 3 entries of this parameter" in result.text


def test_a_model_that_cannot_be_built_fails_in_a_sentence(models):
    result = models.run(f"{ALL}:missing")
    assert result.ret == 1
    assert "has no function 'missing'" in result.text
    assert "Traceback" not in result.output


def test_a_batch_needs_a_model(models):
    result = models.run("--initcheck-batch=inspected_models:batch")
    assert result.ret == 4
    assert "--initcheck-batch needs --initcheck-model" in result.text


def test_the_fixture_inspects(models):
    models.claims(
        "from inspected_models import batch, copies\n"
        "def test_start(inspect_model):\n"
        "    found = inspect_model(copies, batch)\n"
        "    assert found.ok, found\n"
        "    assert [each.check for each in found.findings] == ['distinct']\n"
    )
    assert models.run().ret == 0


def test_a_start_is_recorded_and_compared(models):
    start = "--initcheck-start=start.json"
    result = models.run(f"{ALL}:good", start, "--initcheck-record=a first start")
    assert result.ret == 1
    assert "The start was recorded in" in result.text
    result = models.run(f"{ALL}:good", start)
    assert result.ret == 0
    assert f"{len(CHECKS) + 1} passed, 1 skipped" in result.output
    result = models.run(f"{ALL}:copies", start)
    assert result.ret == 1
    assert "tensors are not in the record" in result.text


def test_a_start_needs_a_model(models):
    result = models.run("--initcheck-start=start.json")
    assert result.ret == 4
    assert "--initcheck-start needs --initcheck-model" in result.text
