"""`--initcheck-pictures`: pictures of the selected mechanisms in the files of results."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from initcheck import results
from tests.helpers.projects import ROOT


@pytest.fixture
def ours(project):
    """A project whose claim is in a file of the packaged claims' name."""
    folder = project.path / "benchmarks"
    folder.mkdir()
    shutil.move(project.path / "test_claims.py", folder / "test_attention.py")
    shutil.move(project.path / "baselines", folder / "baselines")
    return project


def test_the_pictures_of_the_claims_that_ran_are_in_the_results(ours):
    file = ours.path / "results.json"
    assert ours.run("--initcheck-pictures", f"--initcheck-json={file}").ret == 0
    run = results.read(file)
    (picture,) = run.pictures
    assert (picture.name, picture.device) == ("attention_rank", "cpu")
    assert run.settings.pictures
    assert len(picture.rows) == 12
    assert len(picture.units) == len(picture.columns)


def test_a_page_has_pictures_and_a_variable_turns_them_off(ours, monkeypatch):
    file = ours.path / "report.html"
    assert ours.run(f"--initcheck-html={file}").ret == 0
    assert '<figure id="attention_rank"' in file.read_text("utf-8")
    monkeypatch.setenv("INITCHECK_PICTURES", "false")
    assert ours.run(f"--initcheck-html={file}").ret == 0
    assert '<figure id="attention_rank"' not in file.read_text("utf-8")


def test_a_run_in_two_workers_has_the_same_pictures(ours):
    pytest.importorskip("xdist")
    files = [ours.path / "one.json", ours.path / "two.json"]
    for file, workers in zip(files, ("0", "2"), strict=True):
        done = ours.run("-n", workers, "--initcheck-pictures", f"--initcheck-json={file}")
        assert done.ret == 0, done.text
    one, two = (results.read(file).pictures for file in files)
    assert one == two
    assert one


def test_claims_of_other_projects_have_no_pictures(project):
    file = project.path / "results.json"
    shutil.move(project.path / "test_claims.py", project.path / "test_attention.py")
    assert project.run("--initcheck-pictures", f"--initcheck-json={file}").ret == 0
    assert results.read(file).pictures == []


def test_without_a_file_the_option_is_refused(project):
    done = project.run("--initcheck-pictures")
    assert done.ret == 4
    assert "Add --initcheck-html FILE or --initcheck-json FILE." in done.text


def test_results_of_an_older_release_are_read_and_have_no_pictures(ours):
    import json

    file = ours.path / "results.json"
    assert ours.run(f"--initcheck-json={file}").ret == 0
    plain = json.loads(file.read_text("utf-8"))
    assert plain.pop("pictures") == []
    del plain["settings"]["pictures"]
    file.write_text(json.dumps(plain), encoding="utf-8")
    assert results.read(file).pictures == []
    assert not results.read(file).settings.pictures


def test_a_plain_run_imports_neither_matplotlib_nor_pandas(ours):
    code = (
        "import sys, pytest; status = pytest.main(['-q', '-p', 'no:cacheprovider', 'benchmarks']); "
        "sys.exit(status or 10 * ('matplotlib' in sys.modules) + 20 * ('pandas' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ours.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ROOT.is_dir()
