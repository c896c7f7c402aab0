"""Which claims the command finds without a path, and that it records only those of the project."""

from __future__ import annotations

import pytest

from initcheck.baselines import place
from initcheck.baselines.evidence import BaselineError
from initcheck.cli import project as projects
from initcheck.cli.main import main

CONFTEST = """
def pytest_configure(config):
    config.addinivalue_line("markers", "initcheck_claim(source, kind): a claim")
"""


def written(file, *names):
    """A file of claims with these names; each file has another name, as this process keeps it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    claims = (
        f'@pytest.mark.initcheck_claim(source="x", kind="exact")\n'
        f"@pytest.mark.parametrize('initcheck_device', ['cpu'])\n"
        f'def test_{name}(initcheck_device):\n    """So."""\n'
        for name in names
    )
    file.write_text("import pytest\n" + "\n".join(claims))


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A user's project without claims yet, and another folder that plays initcheck's checkout."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        (folder / "conftest.py").write_text(CONFTEST)
    ini = "[pytest]\naddopts = --import-mode=importlib -p no:initcheck\ntestpaths = checks\n"
    (ours / "pytest.ini").write_text(ini)
    options = "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib -p no:initcheck'\n"
    (theirs / "pyproject.toml").write_text(options)
    written(theirs / "benchmarks" / "test_theirs.py", "theirs")
    (theirs / "baselines").mkdir()
    (theirs / "baselines" / "limits.toml").write_text("")
    monkeypatch.setattr(projects, "CHECKOUT", theirs)
    monkeypatch.setattr(projects, "PACKAGE", "no_such_package")
    monkeypatch.setattr(place, "CHECKOUT", theirs)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(ours)
    return ours, theirs


def listed(capsys):
    """Names of claims, and the note."""
    assert main(["claims"]) == 0
    captured = capsys.readouterr()
    return [line.split()[0] for line in captured.out.splitlines()[::2]], captured.err


@pytest.mark.parametrize("here", ["benchmarks", "benchmarks/deep", "checks"])
def test_benchmarks_are_found_from_below_the_project(started, monkeypatch, capsys, here):
    ours, _ = started
    written(ours / "benchmarks" / "test_ours.py", "ours")
    (ours / here).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(ours / here)
    note = f"initcheck: These are the claims in {ours / 'benchmarks'}.\n"
    assert listed(capsys) == (["ours"], note)


@pytest.mark.parametrize("here", ["", "checks", "checks/deep"])
def test_claims_are_found_where_pytest_looks_for_tests(started, monkeypatch, capsys, here):
    ours, _ = started
    written(ours / "checks" / "deep" / "test_ours.py", "ours")
    written(ours / "elsewhere" / "test_elsewhere.py", "elsewhere")
    written(ours / "benchmarks" / "test_speed.py")
    monkeypatch.chdir(ours / here)
    note = f"initcheck: These are the claims in {ours / 'checks' / 'deep'}.\n"
    assert listed(capsys) == (["ours"], note)


def test_a_project_without_claims_shows_those_of_initcheck(started, capsys):
    ours, theirs = started
    note = f"initcheck: {ours} has no claims, so these are the claims of initcheck, in "
    assert listed(capsys) == (["theirs"], f"{note}{theirs / 'benchmarks'}.\n")


def test_a_folder_that_is_no_project_is_not_searched(started, monkeypatch, capsys):
    """Pytest would import every test below it, and it may be a home folder."""
    ours, _ = started
    written(ours / "checks" / "test_ours.py", "ours")
    monkeypatch.chdir(ours.parent)
    assert listed(capsys)[0] == ["theirs"]


def test_no_claim_anywhere_is_a_sentence(started, monkeypatch, capsys):
    _, theirs = started
    monkeypatch.setattr(projects, "CHECKOUT", theirs / "elsewhere")
    assert main(["claims"]) == 4
    assert "none is installed with initcheck. Name the folder" in capsys.readouterr().err


def test_explain_finds_a_claim_of_initcheck_from_a_project_with_claims(started, capsys):
    ours, theirs = started
    written(ours / "checks" / "test_ours.py", "ours")
    assert main(["explain", "theirs"]) == 0
    captured = capsys.readouterr()
    assert f"run it        pytest {theirs}/benchmarks/test_theirs.py" in captured.out
    assert "These are the claims of initcheck" in captured.err
    assert main(["explain", "neither"]) == 4
    assert "There is no claim 'neither'" in capsys.readouterr().err


def evidence(folder):
    return list(folder.rglob("evidence"))


def test_claims_of_initcheck_are_not_recorded_in_place_of_the_projects(started, capsys):
    ours, theirs = started
    assert main(["record", "why"]) == 4
    assert "Nothing was recorded. Name the path of your claims." in capsys.readouterr().err
    assert evidence(ours) == evidence(theirs) == []


def test_a_checkout_of_initcheck_is_recorded_only_from_within(started, monkeypatch, capsys):
    _, theirs = started
    assert main(["record", "why", str(theirs / "benchmarks")]) == 4
    assert f"belongs to initcheck, not to the project in {started[0]}" in capsys.readouterr().err
    assert evidence(theirs) == []
    place.refuse_foreign(theirs / "baselines", theirs / "benchmarks")
    place.refuse_foreign(started[0] / "evidence", started[0])


@pytest.mark.parametrize("parts", ["site-packages/x", "dist-packages/x", "initcheck_benchmarks/x"])
def test_an_installed_package_is_never_recorded(tmp_path, parts):
    with pytest.raises(BaselineError, match="belongs to an installed package"):
        place.refuse_foreign(tmp_path / parts, tmp_path)
