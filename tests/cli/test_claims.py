"""`initcheck claims`, run as a user runs it, and the page that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from initcheck import claims
from initcheck.cli.main import main
from tests.helpers.written_claims import written_claims

ROOT = Path(__file__).parents[2]
CONFTEST = """
def pytest_configure(config):
    config.addinivalue_line("markers", "initcheck_claim(source, kind): a claim")
"""
CLAIMS = '''
"""Variance: what keeps *it*.

More about it.
"""
import pytest
from initcheck import SGD, Arm, Recipe, mlp
from initcheck.initializers import he, zeros
from initcheck.probes import weight_magnitude

def claim(**about):
    return pytest.mark.initcheck_claim(**about)

@claim(source="He 2015, eq. 10; x-1", kind="measured")
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_he_keeps_variance(activation, verdict):
    """He's initialization keeps the variance of
    pre-activations.

    It loses
    none."""
    recipe = Recipe(SGD(lr=0.1), batch=32, steps=5)
    network = mlp(784, 8, 10, activation=activation)
    arms = [Arm(network, start, recipe) for start in (he, zeros)]
    verdict.holds(weight_magnitude, treated=arms[0], control=arms[1])

@claim(source="notebook 003", kind="theorem")
@pytest.mark.parametrize("initcheck_device", ["cpu"])
def test_identity_caps_rank(initcheck_device):
    """The rank of the residual never exceeds the number of inputs."""
    raise SystemExit("only a test that takes a verdict may be called")

@claim(source="notebook 001", kind="exact")
@pytest.mark.parametrize("initcheck_device", ["cpu"])
@pytest.mark.parametrize("optimizer", ["Adam"])
def test_zeros_stay_symmetric(optimizer, initcheck_device, verdict, full_scale):
    """All-zero networks stay symmetric."""
    raise SystemExit("no data")

@pytest.fixture
def full_scale():
    pytest.skip()

@pytest.fixture
def verdict():
    pytest.skip()

def test_that_is_not_a_claim():
    pass
'''
RELU = (
    "ReLU network 784-8-10; SGD (lr 0.1) for 5 steps; batch 32; mnist5k. "
    "Treated: He normal with zero biases; control: all zeros."
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder: a project with three claims."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    # Without the plugin, which requires limits.
    ini = "[pytest]\naddopts = --strict-markers -p no:initcheck\n"
    (tmp_path / "pytest.ini").write_text(ini)
    (folder / "conftest.py").write_text(CONFTEST)
    # This process keeps test modules by name, so each project has its own name.
    (folder / f"{tmp_path.name}.py").write_text(CLAIMS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys, *arguments):
    """What `initcheck claims` prints."""
    assert main(["claims", *arguments]) == 0
    return capsys.readouterr().out


# --- text and JSON --------------------------------------------------------------------------------


def test_the_text_has_one_entry_per_claim(project, capsys):
    assert printed(capsys) == (
        "he_keeps_variance (measured, 2 sets of parameters)\n"
        "    He's initialization keeps the variance of pre-activations.\n"
        "identity_caps_rank (theorem)\n"
        "    The rank of the residual never exceeds the number of inputs.\n"
        "zeros_stay_symmetric (exact, full scale)\n"
        "    All-zero networks stay symmetric.\n"
    )


def test_the_text_fits_in_80_columns(project, capsys):
    text = f"""
import pytest
@pytest.mark.initcheck_claim(source="nowhere", kind="measured")
def test_{"long_" * 12}name():
    '''{"word " * 60}'''
"""
    (project / "benchmarks" / "test_of_long_claims.py").write_text(text)
    lines = printed(capsys, "benchmarks/test_of_long_claims.py").splitlines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= 80


def test_json_has_every_set_of_parameters(project, capsys):
    names = [claim["claim"] for claim in json.loads(printed(capsys, "--json"))]
    assert names == [
        "he_keeps_variance[relu]",
        "he_keeps_variance[silu]",
        "identity_caps_rank",
        "zeros_stay_symmetric[Adam]",
    ]


def test_json_ends_with_the_statements_that_no_claim_tests(project, capsys):
    (project / "docs").mkdir()
    row = '| <a id="{0}"></a>`{0}` | {1} | {2} |\n'
    (project / "docs" / "sources.md").write_text(row.format("x-1", "It does.", "He"))
    (project / "docs" / "refuted.md").write_text(row.format("x-2", "It stays.", "It is slow."))
    *claims, last = json.loads(printed(capsys, "--json"))
    assert [claim["ids"] for claim in claims] == [["x-1"], ["x-1"], [], []]
    assert last == {
        "claim": None, "ids": ["x-2"], "statement": "It stays.", "not_claimed": "It is slow."
    }  # fmt: skip


def test_json_has_all_that_is_known_about_a_claim(project, capsys):
    file = f"benchmarks/{project.name}.py"
    claim = json.loads(printed(capsys, "--json"))[0]
    line = claim.pop("line")
    assert CLAIMS.splitlines()[line - 1].startswith('@claim(source="He 2015')
    assert claim == {
        "claim": "he_keeps_variance[relu]",
        "kind": "measured",
        "source": "He 2015, eq. 10; x-1",
        "ids": [],
        "statement": "He's initialization keeps the variance of pre-activations.",
        "details": "It loses none.",
        "regime": RELU,
        "file": file,
        "node": f"{file}::test_he_keeps_variance",
        "scale": "brief",
    }


def test_a_regime_that_is_known_only_later_says_why(project, capsys):
    listed = {c["claim"]: c["regime"] for c in json.loads(printed(capsys, "--json"))}
    unknown = "Known only when the claim runs: its test"
    assert listed["identity_caps_rank"] == f"{unknown} does not use the fixture verdict."
    assert listed["zeros_stay_symmetric[Adam]"] == f"{unknown} raised SystemExit: no data."


# --- the page -------------------------------------------------------------------------------------


def test_the_page_has_a_section_per_file_and_a_line_per_claim(project, capsys):
    (project / "docs").mkdir()
    (project / "docs" / "sources.md").write_text('| <a id="x-1"></a>`x-1` | It does. | He |\n')
    page = printed(capsys, "--markdown")
    assert f"## Variance\n\nWhat keeps \\*it\\*. `benchmarks/{project.name}.py`\n\n- **He's" in page
    assert (
        "- **He's initialization keeps the variance of pre-activations.** `he_keeps_variance`, "
        "measured; He 2015, eq. 10; [x-1](sources.md#x-1). "
        f"{RELU.replace('ReLU', 'ReLU or SiLU', 1)}\n" in page
    )
    assert "`zeros_stay_symmetric`, exact, full scale; notebook 001. Known only" in page


def test_a_file_without_a_colon_in_its_docstring_is_named_after_the_file(project, capsys):
    text = CLAIMS.replace("Variance: what", "What")
    (project / "benchmarks" / "test_two_words.py").write_text(text)
    page = printed(capsys, "--markdown", "benchmarks/test_two_words.py")
    assert "## Two words\n\nWhat keeps \\*it\\*. `benchmarks/test_two_words.py`\n\n- **He's" in page


def test_the_page_of_this_project_is_current(monkeypatch, capsys):
    for name in ("DEVICE", "INIT", "FAULT"):
        monkeypatch.delenv(f"INITCHECK_{name}", raising=False)
    monkeypatch.chdir(ROOT)
    page = printed(capsys, "--markdown")
    recorded = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert page == recorded, "run `initcheck claims --markdown > docs/claims.md`"
    assert page.count("\n- **") == len(written_claims())
    assert "Known only when" not in page


# --- what is listed -------------------------------------------------------------------------------


def test_listing_leaves_no_trace(project, capsys):
    main(["claims"])
    assert not (project / ".pytest_cache").exists()
    assert capsys.readouterr().err == ""


def test_a_missing_path_is_refused(project, capsys):
    assert main(["claims", "nowhere"]) == 4
    assert (
        capsys.readouterr().err
        == "initcheck: There is no file or folder nowhere. Name one that has claims.\n"
    )


@pytest.mark.parametrize("options", ["-p no:initcheck", "", "--continue-on-collection-errors"])
@pytest.mark.parametrize("form", ["--json", "--markdown", "."])
def test_a_file_that_cannot_be_collected_is_shown_and_the_exit_code_is_4(
    project, capsys, options, form
):
    """With and without the plugin, and although other files have claims."""
    (project / "pytest.ini").write_text(f"[pytest]\naddopts = {options}\n")
    (project / "benchmarks" / "test_broken.py").write_text("import no_such_module")
    assert main(["claims", form]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "No module named 'no_such_module'" in captured.err
    assert "test_broken.py" in captured.err


def test_a_folder_without_claims_is_refused(project, capsys):
    (project / "empty").mkdir()
    assert main(["claims", "empty"]) == 4
    assert "There is no claim in empty." in capsys.readouterr().err


def test_listing_does_not_need_a_demanded_device(project, capsys):
    demand = """
def pytest_addoption(parser):
    parser.addoption("--initcheck-device", default="no_such_device")
def pytest_configure(config):
    config.addinivalue_line("markers", "initcheck_claim(source, kind): a claim")
def pytest_collection(session):
    assert session.config.option.initcheck_device == "cpu"
"""
    (project / "benchmarks" / "conftest.py").write_text(demand)
    assert main(["claims"]) == 0


def test_every_claim_of_this_project_is_listed_once(monkeypatch):
    """The demanded device exists on no machine, and no name contains the device."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("INITCHECK_DEVICE", "no_such_device")
    listed = claims.collect()
    names = [claim.claim for claim in listed]
    assert len(names) == len(set(names)) > 100
    assert {claim.kind for claim in listed} == set(claims.KINDS)
    assert [claim for claim in listed if not (claim.source and claim.statement)] == []
    assert [name for name in names if "cpu" in name] == []
