"""`--initcheck-json`: results for machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from initcheck import results
from initcheck.plugin.options import Settings
from tests.helpers import projects


def test_results_fit_their_schema_and_say_all(project):
    file = project.path / "below" / "results.json"
    assert project.run(f"--initcheck-json={file}", "--initcheck-device=cpu").ret == 0
    whole = results.read(file)
    (result,) = whole.results
    assert result.claim == "zeros_stay"
    assert result.id == "zeros_stay[cpu]"
    assert result.node == "test_claims.py::test_zeros_stay"
    assert result.statement == "Weights that start at zero stay there."
    assert (result.kind, result.source, result.device) == ("exact", "a test", "cpu")
    assert result.probes[0].treated == [0.0] * 4
    assert min(result.probes[0].control) > 0
    assert whole.settings.baselines == str(project.path / "baselines")
    assert whole.settings.baselines_given is None
    of_inspections = {"model", "batch", "start", "allow"}  # these judge no claim
    assert {*vars(Settings)["__annotations__"]} - of_inspections <= {*vars(whole.settings)}


@pytest.mark.parametrize("name", [".", "pytest.ini/results.json"])
def test_file_that_cannot_be_written_is_refused_before_training(project, name):
    result = project.run(f"--initcheck-json={project.path / name}")
    assert result.ret == 4
    assert "--initcheck-json: " in result.text
    assert "Name a file" in result.text
    assert "zeros_stay" not in result.text


def test_file_that_fails_at_the_end_is_said_and_not_green(project, monkeypatch):
    def fail(path, whole):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(results, "write", fail)
    result = project.run(f"--initcheck-json={project.path / 'results.json'}")
    assert result.ret == 4
    assert "The results were not written: [Errno 28] No space left on device" in result.text


def test_refused_run_leaves_the_old_file(project):
    file = project.path / "results.json"
    file.write_text("old")
    project.limits("[oops")
    assert project.run(f"--initcheck-json={file}").ret == 4
    assert file.read_text() == "old"


def test_red_results_are_written_too(project):
    project.limits((project.path / "baselines" / "limits.toml").read_text().replace("max", "min"))
    file = project.path / "results.json"
    assert project.run(f"--initcheck-json={file}").ret == 1
    assert json.loads(file.read_text())["results"][0]["verdict"] != "pass"


def test_results_that_fit_no_schema_are_said_and_the_table_is_shown(project, monkeypatch):
    def refuse(path, whole):
        raise results.ResultsError("results[0].source is no text")

    monkeypatch.setattr(results, "write", refuse)
    result = project.run(f"--initcheck-json={project.path / 'results.json'}")
    assert result.ret == 4
    assert "The results were not written: results[0].source is no text" in result.text
    assert "zeros_stay[cpu] " in result.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("treated=ZEROS, case=64", "case=64 is not a string"),
        ('treated=ZEROS, case="a"', "zeros_stay"),
    ],
)
def test_case_that_is_no_text_is_an_invalid_claim(project, wrong, said):
    project.claims(projects.CLAIMS.replace("treated=ZEROS", wrong))
    result = project.run(f"--initcheck-json={project.path / 'results.json'}")
    assert (result.ret, said in result.text) == (int("64" in wrong), True)


def test_home_that_is_not_there_is_a_sentence(project):
    result = project.run("--initcheck-json=~no-such-user/results.json")
    assert result.ret == 4
    assert "--initcheck-json: Could not determine home directory" in result.text


@pytest.mark.skipif(not Path("/dev/fd/1").exists(), reason="no descriptors in the file system here")
@pytest.mark.parametrize("into", ["pipe", "file"])
def test_results_go_to_standard_output_beside_what_the_run_says(project, into):
    """As to /dev/stdout, which is such a link: what the run says and the results are both there."""
    link, log = project.path / "stdout", project.path / "log"
    link.symlink_to("/dev/fd/1")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--initcheck-device=cpu"]
    with log.open("wb") as file:
        done = subprocess.run(
            [*command, f"--initcheck-json={link}"], check=False,
            cwd=project.path, env=os.environ | {"PYTHONPATH": str(projects.ROOT)},
            stdout=subprocess.PIPE if into == "pipe" else file,
        )  # fmt: skip
    said = (done.stdout or log.read_bytes()).decode()
    assert done.returncode == 0, said
    start = said.index("{")
    found, end = json.JSONDecoder().raw_decode(said[start:])
    assert found["results"][0]["claim"] == "zeros_stay"
    assert "1 passed" in said[start + end :]
    assert link.is_symlink()


def test_link_below_a_file_is_refused_before_training(project):
    """A link is looked at where it leads to, since results are written there."""
    link = project.path / "link.json"
    link.symlink_to("pytest.ini/results.json")
    result = project.run(f"--initcheck-json={link}")
    assert result.ret == 4
    assert "link.json cannot be written. Name a file" in result.text
    assert "zeros_stay" not in result.text


@pytest.mark.parametrize("option", ["json", "html"])
def test_a_file_that_no_one_can_write_is_refused_before_training(project, option):
    """A name that is too long, and folders of the kernel, take no file, even from root."""
    kernels = [("/proc/page", "")] if sys.platform == "linux" else []
    for path, reason in [("x" * 254, "name too long"), *kernels]:
        result = project.run(f"--initcheck-{option}={path}")
        assert result.ret == 4
        assert f"--initcheck-{option}: {path} cannot be written: " in result.text
        assert reason in result.text
        assert "Name a file in a folder that can be." in result.text
        assert "zeros_stay" not in result.text
