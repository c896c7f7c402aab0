"""A run works in folders of any name, without a home, and writes only what it was told to write."""

from __future__ import annotations

from initcheck.results import read
from tests.helpers.projects import Project


def tree(folder):
    """Every file but compiled modules, with the time at which it was written."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in files if path.suffix != ".pyc"}


def test_a_run_writes_nothing_into_the_project(project):
    """So it works where that is read-only."""
    project.run("--initcheck-device=cpu", "--initcheck-record=first")
    before = tree(project.path)
    assert project.evidence("zeros_stay") in before
    assert project.run("--initcheck-device=cpu", "--initcheck-require-evidence").ret == 0
    assert tree(project.path) == before


def test_a_run_needs_no_home_and_no_plain_names(project):
    place = Project(project.path / "Übung 日本 #1 %2F")
    place.path.mkdir()
    (place.path / "pytest.ini").write_text("[pytest]\n")
    place.claims()
    place.limits()
    missing = str(place.path / "no home")
    results, page = place.path / "Größe.json", place.path / "ß.html"
    result = place.start(
        "--initcheck-device=cpu", f"--initcheck-json={results}", f"--initcheck-html={page}",
        HOME=missing, XDG_CACHE_HOME="", PYTHONUTF8="0",
    )  # fmt: skip
    assert result.ret == 0, result.output
    assert read(results).settings.baselines == str(place.path / "baselines")
    assert "Übung 日本 #1 %2F" in page.read_text(encoding="utf-8")
