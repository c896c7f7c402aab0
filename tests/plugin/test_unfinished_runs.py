"""Results of a run that ended early say so first: interrupted, a failing fixture, a lost worker."""

from __future__ import annotations

import json
import re

import pytest

from initcheck.cli.main import main
from initcheck.results import read
from tests.helpers.projects import CLAIMS, ZEROS_STAY, limit

LIMITS = ZEROS_STAY + limit("zeros_end", "weight_magnitude", "max = 0")
LAST = '''
@claim(source="a test", kind="exact")
def test_zeros_end({argument}verdict):
    """Weights that start at zero stay there to the end."""
    {line}
    verdict.holds(weight_magnitude, treated=ZEROS, control=HE)
'''
FIXTURE = """
import pytest
@pytest.fixture
def broken():
    raise OSError("no disk here")
"""
CONFTEST = """
import pytest
@pytest.fixture
def late():
    '''A claim with such a fixture is called at its turn only.'''
"""
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def files(project, *arguments, start=False):
    """The run, its exit code and output, and the paths of its JSON and HTML files."""
    json_file, html_file = project.path / "results.json", project.path / "page.html"
    options = [f"--initcheck-json={json_file}", f"--initcheck-html={html_file}", *arguments]
    result = (project.start if start else project.run)("--initcheck-device=cpu", *options)
    return read(json_file), result, json_file, html_file


def says_so_first(run, json_file, html_file, capsys, count):
    """JSON, HTML, Markdown, annotations and the table of a run whose last claim is missing."""
    sentence = f"UNFINISHED: this run says less than its verdicts: {count}"
    assert run.unfinished.startswith(sentence)
    assert [claim.id for claim in run.not_judged] == ["zeros_end[cpu]"]
    page = html_file.read_text()
    assert page.index("UNFINISHED") < page.index('<p class="counts">')
    assert "<title>initcheck: unfinished, " in page
    for form in ("--markdown", "--annotations", "--verbose"):
        capsys.readouterr()
        assert main(["report", str(json_file), form]) == 0
        assert "UNFINISHED" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("last", "status", "said"),
    [
        (("late, ", "raise KeyboardInterrupt"), 2,
         ("it was interrupted; 1 of 2 claims were not judged:", "the run ended before it")),
        (("broken, ", "pass"), 1,
         ("1 of 2 claims were not judged: zeros_end[cpu] (its fixture failed",
          "its fixture failed: OSError: no disk here")),
        (("late, ", "import pytest; pytest.exit('enough', returncode=0)"), 2,
         ("it was interrupted; 1 of 2 claims were not judged:", "the run ended before it")),
    ],
)  # fmt: skip
def test_a_run_that_ends_early_says_so_first(project, capsys, last, status, said):
    project.claims(FIXTURE + CLAIMS + LAST.format(argument=last[0], line=last[1]))
    (project.path / "conftest.py").write_text(CONFTEST)
    project.limits(LIMITS)
    run, result, *paths = files(project)
    assert (result.ret, run.exit_status) == (status, status)
    assert [claim.claim for claim in run.results] == ["zeros_stay"]
    assert run.not_judged[0].reason == said[1]
    assert "UNFINISHED: this run says less" in result.text
    says_so_first(run, *paths, capsys, said[0])


@pytest.mark.parametrize("restarts", [0, 1])
def test_a_killed_worker_leaves_no_green_file(project, capsys, restarts):
    pytest.importorskip("xdist")
    project.claims(CLAIMS + LAST.format(argument="late, ", line=KILLED))
    (project.path / "conftest.py").write_text(CONFTEST)
    project.limits(LIMITS)
    run, result, *paths = files(
        project, "-n1", f"--max-worker-restart={restarts}", "-p", "no:benchmark", start=True
    )
    assert (result.ret, run.exit_status) == (1, 1), result.output
    assert re.search("worker 'gw0' crashed", run.not_judged[0].reason)
    says_so_first(run, *paths, capsys, "1 of 2 claims were not judged: zeros_end[cpu] (worker")


def test_a_whole_run_says_when_and_on_what_it_ran(project):
    run, result, json_file, html_file = files(project)
    assert (result.ret, run.exit_status, run.not_judged, run.unfinished) == (0, 0, [], "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", run.date)
    assert run.environment.initcheck
    assert "UNFINISHED" not in html_file.read_text() + result.output
    assert json.loads(json_file.read_text())["commit"] == ""  # a temporary folder is outside git


def test_a_skipped_claim_is_not_judged_but_the_run_is_finished(project):
    line = "import pytest; pytest.skip('no rain today')"
    project.claims(CLAIMS + LAST.format(argument="", line=line))
    project.limits(LIMITS)
    run, result, *_ = files(project)
    assert result.ret == 0
    assert [(c.id, c.reason, c.skipped) for c in run.not_judged] == [
        ("zeros_end[cpu]", "no rain today", True)
    ]
    assert run.unfinished == ""


def test_skipped_tests_of_a_project_without_claims_are_no_unfinished_claims(project):
    pytest.importorskip("xdist")
    (project.path / "test_of_others.py").write_text(
        "import pytest\n"
        "@pytest.mark.skip(reason='no rain today')\n"
        "def test_rain(): pass\n"
        "def test_sun(): pass\n"
    )
    result = project.start("test_of_others.py", "-n1", "-p", "no:benchmark")
    assert result.ret == 0, result.output
    assert "1 passed, 1 skipped" in result.output
    assert "UNFINISHED" not in result.output
