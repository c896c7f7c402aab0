"""`--initcheck-model`, one item per check, and the fixture `inspect_model`."""

from __future__ import annotations

import json

import pytest

from initcheck.inspection import findings
from tests.cli.test_inspect import MODELS

#: Those that run without a recorded start, and how many of them with the tests of exceptions.
CHECKS = [check for check in findings.CHECKS if check != "recorded_start"]
SKIPPED = len(findings.NEED_BATCH)
ITEMS = len(CHECKS) + 1
ALL = "--initcheck-model=inspected_models"


@pytest.fixture
def models(project):
    project.claims(MODELS, "inspected_models")
    return project


def test_each_check_is_one_item(models):
    result = models.run(f"{ALL}:good", "--initcheck-batch=inspected_models:batch", "-v")
    assert result.ret == 0
    assert "initcheck[inspected_models:good]::asleep PASSED" in result.output
    assert f"{ITEMS} passed" in result.output


def test_a_check_that_was_not_judged_is_skipped_with_its_reason(models):
    result = models.run(f"{ALL}:good", "-rs")
    assert f"{ITEMS - SKIPPED} passed, {SKIPPED} skipped" in result.output
    assert "it needs a batch: --initcheck-batch MODULE:FUNCTION" in result.text


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_the_summary_says_what_was_judged_and_what_was_not(models, workers):
    models.claims("import copy\nfrom torch import nn\ndef build():\n    layer = nn.Linear(4, 4)\n"
                  "    return nn.Sequential(layer, copy.deepcopy(layer))\n", "twins")  # fmt: skip
    result = models.run("--initcheck-model=twins:build", *workers)
    assert result.ret == 0
    assert "initcheck inspection" in result.output
    assert (
        result.text.count(
            "warn distinct 0-1.weight, 0-1.bias (Linear, written at twins.py:4): 2 modules"
        )
        == 1
    )
    assert "not judged asleep, signal, start_loss, first_gradient: it needs a batch" in result.text
    assert "judged 4 of 4 parameters, 0 buffers, 2 seeds" in result.text


def test_each_check_is_counted_as_collected(models):
    result = models.run(f"{ALL}:good")
    assert f"collected {ITEMS} items" in result.output


def test_a_fault_fails_its_check_alone(models):
    result = models.run(f"{ALL}:unset")
    assert result.ret == 1
    assert f"1 failed, {ITEMS - SKIPPED - 1} passed, {SKIPPED} skipped" in result.output
    assert "3 of 3 entries of this parameter" in result.text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([f"{ALL}:missing"], "inspected_models has no function 'missing'"),
        ([f"{ALL}_of_nobody:good"], "There is no module 'inspected_models_of_nobody'"),
        ([f"{ALL}:raising"], "inspected_models:raising raised ValueError: no data"),
        ([f"{ALL}:good", "--initcheck-batch=inspected_models:gone"], "has no function 'gone'"),
        ([f"{ALL}:good", "--initcheck-start=start.json"], "There is no recorded start"),
        ([f"{ALL}:missing", "-n1"], "has no function 'missing'"),
    ],
)
def test_what_is_missing_ends_the_run_before_any_test(models, options, sentence):
    models.claims("def test_first():\n    print('this test ran')\n")
    result = models.run(*options, "-s")
    assert result.ret == 4
    assert result.text.count(sentence) == 1
    assert "this test ran" not in result.text
    assert "Traceback" not in result.output


def test_a_build_that_fails_later_is_reported_once(models):
    models.claims(
        "from torch import nn\nSHARED = nn.Linear(4, 3)\ndef build():\n    return SHARED\n",
        "shared",
    )
    result = models.run("--initcheck-model=shared:build")
    assert result.ret == 1
    assert f"1 failed, 1 passed, {ITEMS - 2} skipped" in result.output
    assert "returned the same module twice" in result.text


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
    assert f"{ITEMS + 1 - SKIPPED} passed, {SKIPPED} skipped" in result.output
    result = models.run(f"{ALL}:copies", start)
    assert result.ret == 1
    assert "tensors are not in the record" in result.text


def test_a_start_needs_a_model(models):
    result = models.run("--initcheck-start=start.json")
    assert result.ret == 4
    assert "--initcheck-start needs --initcheck-model" in result.text


def test_a_batch_that_cannot_be_used_fails_its_check(models):
    result = models.run(f"{ALL}:good", "--initcheck-batch=inspected_models:raising")
    assert result.ret == 1
    assert f"1 failed, {ITEMS - SKIPPED} passed, {SKIPPED - 1} skipped" in result.output
    assert "the batch's function raised ValueError: no data" in result.text


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\ninitcheck_allow =\n    bias written a checkpoint sets it\n"),
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\ninitcheck_allow = ["bias written a checkpoint sets it"]\n',
        ),
    ],
)
def test_an_exception_in_an_ini_file_allows_a_finding(models, file, text):
    (models.path / "pytest.ini").unlink(missing_ok=True)
    (models.path / file).write_text(text)
    result = models.run(f"{ALL}:unset", "-rA")
    assert result.ret == 0
    assert "Allowed: a checkpoint sets it." in result.output


def test_an_exception_that_allows_nothing_fails(models):
    allow = ["bias written a checkpoint sets it", "weight written no finding"]
    result = models.run(f"{ALL}:unset", *(f"--initcheck-allow={each}" for each in allow))
    assert result.ret == 1
    assert "The exception 'weight written' allows nothing" in result.text


def test_an_exception_is_refused_without_a_model_or_a_reason(models):
    result = models.run("--initcheck-allow=bias written later")
    assert result.ret == 4
    assert "--initcheck-allow needs --initcheck-model" in result.text
    result = models.run(f"{ALL}:unset", "--initcheck-allow=bias written")
    assert result.ret == 4
    assert "is not PATTERN CHECK REASON" in result.text


MARKED = """
import pytest
from inspected_models import unset

@pytest.mark.initcheck_allow({arguments})
def test_start(inspect_model):
    found = inspect_model(unset)
    assert found.ok, str(found)

def test_without(inspect_model):
    assert not inspect_model(unset).ok
"""


def test_a_mark_allows_a_finding_in_its_test_alone(models):
    models.claims(MARKED.format(arguments='"bias", "written", why="a checkpoint sets it"'))
    assert models.run("--strict-markers").ret == 0


def test_a_mark_without_an_inspection_fails(models):
    models.claims(
        "import pytest\n"
        "@pytest.mark.initcheck_allow('bias', 'written', why='a checkpoint sets it')\n"
        "def test_start(): pass\n"
    )
    result = models.run()
    assert result.ret == 1
    assert "does not use inspect_model" in result.text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ('"weight", "written", why="no finding"', "allows nothing"),
        ('"bias", "written"', "initcheck_allow"),
        ('"bias", "writen", why="a"', "names the check 'writen'"),
    ],
)
def test_a_mark_that_allows_nothing_or_is_none_fails(models, arguments, sentence):
    models.claims(MARKED.format(arguments=arguments))
    result = models.run()
    assert result.ret == 1
    assert sentence in result.text


def test_files_hold_the_inspection_if_no_claim_runs(models):
    files = models.path / "found.json", models.path / "found.html"
    models.claims("", "test_nothing")
    options = f"--initcheck-json={files[0]}", f"--initcheck-html={files[1]}"
    result = models.run("test_nothing.py", f"{ALL}:good", *options)
    assert result.ret == 0
    assert json.loads(files[0].read_text())["model"] == "inspected_models:good"
    assert "inspected_models:good" in files[1].read_text()
    assert "had no effect" not in result.text


def test_a_recorded_start_is_no_recording_of_claims(models):
    models.claims("", "test_nothing")
    record = "--initcheck-start=start.json", "--initcheck-record=first"
    result = models.run("test_nothing.py", f"{ALL}:good", *record)
    assert result.ret == 1
    assert "had no effect" not in result.text
