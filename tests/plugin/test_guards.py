"""What the plugin refuses, and that it leaves other projects alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from initcheck import claim
from tests.helpers.projects import CLAIMS, HE_APART, MEASURED, ROOT, ZEROS_STAY


@pytest.fixture(name="two_claims")
def two_claims_(project):
    project.claims(CLAIMS + MEASURED)
    project.limits(ZEROS_STAY + HE_APART)
    return project


def test_reruns_are_refused(project):
    (project.path / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--reruns', type=int)"
    )
    assert project.run().ret == 0
    result = project.run("--reruns=2")
    assert result.ret == 4
    assert "--reruns would hide a claim that fails" in result.text


def test_flaky_claim_is_refused(project):
    (project.path / "pytest.ini").write_text("[pytest]\nmarkers = flaky: run again on failure\n")
    project.claims(CLAIMS.replace("@claim", "import pytest\n@pytest.mark.flaky\n@claim"))
    result = project.run()
    assert result.ret == 4
    assert "The mark 'flaky' on test_zeros_stay[cpu] would hide" in result.text


def test_expected_failure_is_not_green(project):
    project.claims(CLAIMS.replace("@claim", "import pytest\n@pytest.mark.xfail\n@claim"))
    project.limits(ZEROS_STAY.replace("max = 0", "min = 0.1"))
    assert project.run().ret == 1


def test_claim_needs_a_docstring():
    def test_silent(verdict):
        pass

    with pytest.raises(ValueError, match="test_silent needs a docstring: the claim, as one true"):
        claim(source="a test", kind="exact")(test_silent)


def test_claim_needs_at_least_one_seed():
    with pytest.raises(ValueError, match="number of seeds is at least 1, not 0"):
        claim(source="a test", kind="exact", seeds=0)


def test_claim_needs_a_known_kind():
    with pytest.raises(ValueError, match="is exact, theorem or measured, not 'sure'"):
        claim(source="a test", kind="sure")


CASE = """
import unittest
from initcheck import claim

class TestThing(unittest.TestCase):
    @claim(source="a test", kind="exact")
    def test_thing(self):
        \"\"\"A sentence.\"\"\"
"""
MARKED = CLAIMS.replace("@claim(", "import pytest\n@pytest.mark.initcheck_claim(")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CASE, "the claim test_thing is no test that can be judged: a method of a unittest"),
        (MARKED.replace('"exact"', '"sure"'), "is marked with source='a test', kind='sure'."),
        (MARKED.replace("kind=", "king="), "is marked with source='a test', king='exact'."),
        (MARKED.replace('source="a test", ', ""), "is marked with kind='exact'. It needs a source"),
        (MARKED.replace('"a test"', "1"), "is marked with source=1, kind='exact'."),
    ],
    ids=["unittest", "unknown kind", "misspelled", "no source", "number"],
)
def test_what_cannot_be_a_claim_is_refused(project, text, words):
    project.claims(text)
    project.limits("" if text is CASE else ZEROS_STAY)
    for options in ("--initcheck-device=cpu", "--collect-only"):
        refused = project.run(options)
        assert refused.ret == 4
        assert words in refused.text


def test_python_without_docstrings_is_refused(project):
    refused = project.start(PYTHONOPTIMIZE="2")
    assert refused.ret == 4
    assert "test_zeros_stay[cpu] has lost its docstring" in refused.text
    assert "Run it without." in refused.text


def test_this_repository_can_be_tested_by_python_without_assertions(project):
    command = ("--collect-only", "-q", "-c", str(ROOT / "pyproject.toml"), "test_claims.py")
    collected = project.start(*command, PYTHONOPTIMIZE="1", INITCHECK_DEVICE="cpu")
    assert collected.ret == 0, collected.output


ONCE = """
from initcheck import claim

TIMES = []

@claim(source="a test", kind="exact")
def test_idle(initcheck_device):
    \"\"\"A sentence.\"\"\"
    TIMES.append(initcheck_device)
    assert TIMES == ["cpu"]
"""


def test_a_test_that_judges_nothing_is_called_once_too(project):
    project.claims(ONCE)
    project.limits("")
    result = project.run("--initcheck-device=cpu")
    assert "It judged nothing" in result.text


@pytest.mark.parametrize("skip", ["skip()", "skip('')"])
def test_claims_skipped_without_a_reason_are_counted(project, skip):
    skipped = f"    __import__('pytest').{skip}\n    verdict.holds"
    project.claims(CLAIMS.replace("    verdict.holds", skipped))
    assert "1 claim skipped: no reason was given" in project.run("--initcheck-device=cpu").text


def test_verdict_outside_a_claim_is_refused(project):
    project.claims("def test_other(verdict): pass")
    result = project.run()
    assert result.ret == 1
    assert "test_other[cpu] uses 'verdict' but is not marked @claim" in result.text


@pytest.mark.parametrize("signature", ["verdict", ""])
def test_claim_that_judges_nothing_is_invalid(project, signature):
    body = f'def test_idle({signature}):\n    """A sentence."""'
    project.claims(f"from initcheck import claim\n@claim(source='a test', kind='exact')\n{body}\n")
    project.limits("")
    file = project.path / "results.json"
    result = project.run(f"--initcheck-json={file}")
    assert result.ret == 1
    assert (
        "It judged nothing. Use the fixture 'verdict' and call its holds, gains or rate."
        in result.text
    )
    assert file.exists()


def test_claim_that_crashes_is_invalid_and_shows_where(project):
    project.claims(CLAIMS + "    raise RuntimeError('oops')\n")
    (result,) = project.results("--initcheck-device=cpu")
    assert (result["verdict"], result["message"]) == ("invalid", "RuntimeError: oops")


def test_network_of_the_wrong_shape_is_a_sentence(project):
    network = (
        "Network('mine', lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 3)))"
    )
    text = CLAIMS.replace("mlp(784, 8, 10)", network)
    project.claims("import torch\nfrom initcheck import Network\n" + text)
    for engine in ("ensemble", "module"):
        result = project.run(f"--initcheck-engine={engine}")
        assert result.ret == 1
        assert (
            "It must return logits of shape (32, 10). Change the network's last layer."
            in result.text
        )


def test_nan_in_an_arm_is_invalid_and_names_seeds(two_claims):
    two_claims.claims((CLAIMS + MEASURED).replace("lr=0.1", "lr=1e30"))
    result = two_claims.run("-k", "apart", "--initcheck-device=cpu")
    assert result.ret == 1
    assert "INVALID he_tells_images_apart[cpu]" in result.text
    assert "16 of 16 treated seeds are not finite" in result.text


def test_treated_and_control_swapped_is_red(project):
    project.claims(CLAIMS.replace("treated=ZEROS, control=HE", "treated=HE, control=ZEROS"))
    result = project.run()
    assert result.ret == 1
    assert "REFUTED zeros_stay[cpu]" in result.text
    assert "confirmed on fresh seeds" in result.text


def test_workers_give_the_same_results(two_claims):
    pytest.importorskip("xdist")
    files = [two_claims.path / name for name in ("alone.json", "workers.json")]
    two_claims.run(f"--initcheck-json={files[0]}")
    result = two_claims.start(f"--initcheck-json={files[1]}", "-n2")
    assert result.ret == 0, result.output
    assert "split over 6 registered comparisons" in result.text
    from initcheck.results import read

    one, other = (read(file) for file in files)
    alone, shared = ([replace(each, seconds=0.0) for each in run.results] for run in (one, other))
    assert alone == shared
    assert replace(one.settings, json="") == replace(other.settings, json="")


def test_workers_refuse_what_one_process_refuses(project):
    pytest.importorskip("xdist")
    project.limits("[oops")
    result = project.start("-n1")
    assert result.ret == 4, result.output
    assert "ERROR: " in result.text
    assert "limits.toml is not valid TOML" in result.text


@pytest.mark.parametrize("option", ["json=r.json", "html=r.html", "record=why", "fault=leaky_relu"])
def test_option_that_no_claim_could_serve_is_not_green(project, option):
    project.claims("def test_other(): pass")
    result = project.run(f"--initcheck-{option}")
    assert result.ret == 4
    assert f"--initcheck-{option.replace('=', ' ')}: no claim ran" in result.text


def test_variable_that_no_claim_could_serve_is_left_alone(project, monkeypatch):
    project.claims("def test_other(): pass")
    monkeypatch.setenv("INITCHECK_JSON", "r.json")
    monkeypatch.setenv("INITCHECK_RECORD", "why")
    assert project.run().ret == 0


def test_file_that_workers_could_not_fill_is_named(project):
    pytest.importorskip("xdist")
    project.claims(CLAIMS.replace("@claim", "import pytest\n@pytest.mark.skip\n@claim"))
    result = project.start("-n1", "--initcheck-json=r.json")
    assert result.ret == 4, result.output
    assert "--initcheck-json r.json: no claim ran" in result.text


def test_benchmark_plugin_may_be_absent(project):
    assert project.run("-p", "no:benchmark").ret == 0


FOREIGN = """
import sys

def test_what_is_loaded():
    heavy = {"torch", "numpy", "scipy", "pandas", "matplotlib", "jsonschema"}
    print("loaded:", "initcheck.plugin.hooks" in sys.modules, sorted(heavy & set(sys.modules)))
"""


def test_foreign_project_is_left_alone(project):
    project.claims(FOREIGN, "test_foreign")
    command = ("test_foreign.py", "-s", "-p", "no:benchmark")
    plain, ours = project.start(*command, "-p", "no:initcheck"), project.start(*command)
    assert plain.ret == ours.ret == 0, ours.output
    # Other plugins of this environment may load something heavy; ours adds nothing to it.
    assert _loaded(ours) == _loaded(plain).replace("False", "True")
    assert "initcheck:" not in ours.output
    assert "claims" not in ours.output


def _loaded(result):
    (line,) = (line for line in result.output.splitlines() if "loaded:" in line)
    return line.partition("loaded:")[2]


def test_failing_foreign_test_keeps_its_exit_code(project):
    project.claims("def test_other(): assert 0")
    assert project.run().ret == 1
    project.claims("import nothing_of_that_name")
    assert project.run().ret == 2
