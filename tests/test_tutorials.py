"""Every step of the tutorials works: files, commands with their output and exit code, Python."""

from __future__ import annotations

import io
import re
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from initcheck.cli.compare_init import table
from tests.test_docs import ROOT, blocks, command, read, shell_lines

TUTORIALS = {page.stem: page for page in sorted((ROOT / "docs" / "tutorials").glob("*.md"))}
ONE_FILE = {"zeroed_layer_keeps_atom": "test_zeroed_layer.py"}  # where a -k of a tutorial matches


def masked(line: str) -> str:
    """A line without what differs between machines: seconds, dates, versions and decimals."""
    number = r"\d[\d.]*(?:e[+-]?\d+)?" if "envelope" in line else r"\d+(?:\.[\d.]+|-\d\d-\d\d)\S*"
    return " ".join(re.sub(number, "#", line).split())


def test_masking_keeps_words_and_counts():
    assert masked("runs   4 seeds, recorded on 2026-11-28 with torch 2.14.1+cu130 on") == (
        "runs 4 seeds, recorded on # with torch # on"
    )
    assert masked("at step 0 by 1390 envelopes") == masked("at step 0 by 1.4e+03 envelopes")
    assert masked("verdicts: 2 pass") != masked("verdicts: 3 pass")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty folder that sees the checkout's claims, as the reader's clone does."""
    for name in ("CI", "INITCHECK_DEVICE", "INITCHECK_DATA_ROOT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file changes within a second
    for name in ("benchmarks", "baselines", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "pyproject.toml").write_text(read(ROOT / "pyproject.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str, desk: Path) -> tuple[int, str]:
    """Exit code and output of a command, in this process: importing torch again takes seconds."""
    name, *arguments = shlex.split(line, comments=True)
    modules, path, output = set(sys.modules), list(sys.path), io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(output):
            if name == "pytest":
                code = pytest.main(_of_one_file(arguments))
            else:
                assert name == "initcheck"
                code = command()(arguments)
    finally:
        sys.path[:] = path
        for module in set(sys.modules) - modules:
            file = getattr(sys.modules[module], "__file__", None) or ""
            if file.startswith(str(desk)):
                del sys.modules[module]
    return int(code), output.getvalue()


def _of_one_file(arguments: list[str]) -> list[str]:
    """The arguments, with the one file that -k selects from in place of all claims."""
    quiet = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    if "benchmarks" in arguments:
        file = ONE_FILE[arguments[arguments.index("-k") + 1]]
        arguments = [f"benchmarks/{file}" if word == "benchmarks" else word for word in arguments]
    return [*arguments, *quiet]


def follow(page: Path, desk: Path) -> list[str]:
    """Follow the steps of a tutorial; returns the names of its commands."""
    ran = []
    for block in blocks(read(page)):
        if block.language == "python":
            first, _, _ = block.text.partition("\n")
            (desk / first.removeprefix("# ")).write_text(block.text, encoding="utf-8")
        if block.language != "console":
            continue
        for part in re.split(r"(?m)^(?=\$ )", block.text)[1:]:
            line, _, shown = part.partition("\n")
            code, output = run(line.removeprefix("$ "), desk)
            ran.append(line.split()[1])
            assert f"# exit code {code}" in line, f"{line} gave {code}:\n{output}"
            printed = [masked(text) for text in output.splitlines()]
            lines = [text for text in shown.splitlines() if text != "..."]
            missing = [text for text in lines if not any(masked(text) in one for one in printed)]
            assert missing == [], f"{line} printed:\n{output}"
    return ran


def test_an_upgrade_is_approved_step_by_step(desk):
    ran = follow(TUTORIALS["approve-an-upgrade"], desk)
    assert ran == ["initcheck", "pytest", "pytest", "initcheck", "pytest", "initcheck", "initcheck"]
    page = read(desk / "page.html")
    assert 'id="matrix"' in page
    assert "What has changed" in page


def test_a_fault_and_a_change_are_found_in_a_model(desk):
    assert follow(TUTORIALS["my-model-changed"], desk) == ["initcheck"] * 5


def test_an_initializer_is_judged_and_repaired(desk):
    assert follow(TUTORIALS["a-new-initializer"], desk) == ["pytest"] * 2


# --- the researcher's table -----------------------------------------------------------------------


def test_the_table_of_the_researcher_is_what_the_command_prints(desk, monkeypatch):
    """For the network that the page shows and one usual start: all of them take a minute."""
    page = TUTORIALS["a-new-initializer"]
    first = next(block.text for block in blocks(read(page)) if block.language == "python")
    (desk / "inits.py").write_text(first, encoding="utf-8")
    monkeypatch.setattr(table, "USUAL", table.USUAL[:1])
    monkeypatch.setattr(table, "REGIMES", {"plain": table.REGIMES["plain"]})
    code, output = run("initcheck compare-init inits:uniform_ --seeds 1", desk)
    assert code == 0
    (shown,) = (block.text for block in blocks(read(page)) if block.language == "text")
    printed = {masked(line) for line in output.splitlines()}
    assert [line for line in shown.splitlines()[:4] if masked(line) not in printed] == []


# --- the student's Python -------------------------------------------------------------------------


def test_the_students_python_prints_what_the_page_shows(desk, monkeypatch):
    import matplotlib as mpl

    mpl.use("Agg")
    page = TUTORIALS["why-not-zero"]
    names: dict[str, object] = {}
    outputs = []
    for block in blocks(read(page)):
        if block.language == "python":
            output = io.StringIO()
            with redirect_stdout(output):
                exec(block.text, names)  # noqa: S102 -- the page is the project's
            outputs += [output.getvalue()] * bool(output.getvalue())
        if block.language == "text":
            assert block.text.split() == outputs[-1].split()
    assert len(outputs) == 2
    assert (desk / "classes.svg").is_file()


# --- the workflow ---------------------------------------------------------------------------------


def workflow() -> str:
    (text,) = (
        block.text for block in blocks(read(TUTORIALS["approve-an-upgrade"]))
        if block.language == "yaml"
    )  # fmt: skip
    return text


def test_the_workflow_is_a_workflow():
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with mkdocs: nox -s docs")
    parsed = yaml.safe_load(workflow())
    assert parsed["permissions"] == {"contents": "read"}
    assert True in parsed, "YAML reads the key `on` as true"
    (job,) = parsed["jobs"].values()
    assert job["timeout-minutes"] <= 60
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert set(step) <= {"run", "uses", "if", "with", "env", "name"}


def test_the_workflow_pins_its_actions_as_the_projects_own_does():
    own = read(ROOT / ".github" / "workflows" / "cpu.yml")
    used = re.findall(r"uses: (.+)", workflow())
    assert used
    assert [line for line in used if line not in own] == []


def test_the_workflow_reports_whatever_the_verdict_is_and_fails_if_the_gate_does():
    """A later step that succeeds does not make a job green: only the gate has no `if`."""
    runs = re.split(r"\n +- ", workflow().partition("steps:")[2])[1:]
    gate = next(n for n, step in enumerate(runs) if "pytest benchmarks" in step)
    assert "continue-on-error" not in workflow()
    assert "if:" not in runs[gate]
    assert all("if: always()" in step for step in runs[gate + 1 :])
    assert "inputs." not in "".join(runs), "an input in a shell line would be run as code"


def test_the_commands_of_the_workflow_work(desk, monkeypatch):
    """All but pip's, with one claim in place of all."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(desk / "summary.md"))
    lines = [re.sub(r">> .*", "", line).strip() for line in shell_lines_of(workflow())]
    ran = []
    for line in lines:
        if line.startswith("pip "):
            continue
        code, output = run(f"{line} -k zeroed_layer_keeps_atom" * ("pytest" in line) or line, desk)
        assert code == 0, f"{line}:\n{output}"
        ran.append(line.split()[:2])
    assert ran == [
        ["initcheck", "doctor"], ["pytest", "benchmarks"], ["initcheck", "report"],
        ["initcheck", "report"],
    ]  # fmt: skip
    assert (desk / "page.html").is_file()


def shell_lines_of(text: str) -> list[str]:
    (block,) = blocks(f"```yaml\n{text}```\n")
    return list(shell_lines(block))
