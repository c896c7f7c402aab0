"""Runs count until something that decides them changes, and no longer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from initcheck.error_rates import fingerprint
from tests.helpers.projects import ROOT

FILES = {
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-q"\n[tool.ruff]\nline-length = 1\n',
    "README.md": "words",
    "docs/index.md": "words",
    "initcheck/gate/holds.py": '"""Judge."""\n\nLIMIT = 1  # of all\n\n\ndef f():\n    """F."""\n',
    "initcheck/datasets/data.npz": "images",
    "initcheck/error_rates/page.py": "A = 1\n",
    "initcheck/cli/main.py": "A = 1\n",
    "initcheck/faults/optimizers.py": "A = 1\n",
    "initcheck/inspection/steps.py": "A = 1\n",
    "initcheck/probes/__init__.py": "",
    "initcheck/probes/ranks.py": "from initcheck.probes.tables import A\n",
    "initcheck/probes/tables.py": "A = 1\n",
    "initcheck/probes/units.py": "A = 1\n",
    "initcheck/gate/starts.py": "def f():\n    from initcheck.probes import starts\n",
    "initcheck/probes/starts.py": "A = 1\n",
    "benchmarks/conftest.py": "A = 1\n",
    "benchmarks/test_a.py": "from initcheck.probes.ranks import A\n\n"
    'def test_a(verdict):\n    """A."""\n    verdict()\n',
    "benchmarks/test_b.py": "from initcheck.probes.units import A\n\n"
    "def test_b(verdict):\n    verdict()\n",
    "benchmarks/peers/jax.py": "A = 1\n",
    "baselines/limits.toml": "[a.p]\nmax = 1.0\n[b.p]\nmax = 1.0\n",
    "baselines/evidence/a[x].json": "{}",
    "baselines/evidence/b.json": "{}",
    "baselines/OPERATING.md": "words",
    "baselines/operating/clean-suite.jsonl": "",
}
DECIDE_NOTHING = [
    ("README.md", "other words"),
    ("docs/index.md", "other words"),
    ("initcheck/gate/holds.py", '"""Tell."""\nLIMIT = 1\ndef f():\n    """G."""\n'),
    ("initcheck/error_rates/page.py", "A = 2\n"),
    ("initcheck/cli/main.py", "A = 2\n"),
    ("initcheck/inspection/steps.py", "A = 2\n"),
    ("initcheck/report/terminal.py", "A = 2\n"),
    ("initcheck/gate/pictured_rounding.py", "A = 2\n"),
    ("initcheck/gate/pictures.py", "A = 2\n"),
    ("initcheck/plugin/pictured.py", "A = 2\n"),
    ("initcheck/plugin/inspected.py", "A = 2\n"),
    ("initcheck/trajectory/watch.py", "A = 2\n"),
    ("initcheck/__pycache__/holds.pyc", "x"),
    (
        "benchmarks/test_a.py",
        "from initcheck.probes.ranks import A\n\ndef test_a(verdict):\n    verdict()  # so\n",
    ),
    ("benchmarks/peers/jax.py", "A = 2\n"),
    ("baselines/OPERATING.md", "other words"),
    ("baselines/operating/clean-suite.jsonl", "a run"),
    ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-q"\n'),
]
DECIDE = [
    ("initcheck/gate/holds.py", "LIMIT = 2\n\n\ndef f():\n    pass\n"),
    ("initcheck/gate/new.py", ""),
    ("initcheck/probes/__init__.py", "A = 1\n"),
    ("initcheck/probes/ranks.py", "from initcheck.probes.tables import A as B\n"),
    ("initcheck/probes/tables.py", "A = 2\n"),  # a probe of the claim imports it
    ("initcheck/probes/starts.py", "A = 2\n"),  # the gate itself imports it
    ("initcheck/datasets/data.npz", "other images"),
    ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-v"\n'),
    ("benchmarks/conftest.py", "A = 2\n"),
    ("benchmarks/test_a.py", "def test_a(verdict):\n    verdict(1)\n"),
    ("baselines/limits.toml", "[a.p]\nmax = 2.0\n[b.p]\nmax = 1.0\n"),
    ("baselines/evidence/a[x].json", '{"claim": "a"}'),
]
OF_ANOTHER_CLAIM = [
    ("benchmarks/test_b.py", "def test_b(verdict):\n    verdict(1)\n"),
    ("baselines/limits.toml", "[a.p]\nmax = 1.0\n[b.p]\nmax = 2.0\n"),
    ("baselines/evidence/b.json", '{"claim": "b"}'),
    ("initcheck/probes/units.py", "A = 2\n"),
]


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        write(tmp_path, name, text)
    return tmp_path


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def of_both(root):
    return fingerprint.of_gate(root), fingerprint.of_fault(root, ["a"])


@pytest.mark.parametrize(("name", "text"), DECIDE_NOTHING)
def test_what_decides_nothing_leaves_it(root, name, text):
    before = of_both(root)
    write(root, name, text)
    assert of_both(root) == before


@pytest.mark.parametrize(("name", "text"), DECIDE)
def test_what_decides_changes_it(root, name, text):
    before = of_both(root)
    write(root, name, text)
    gate, fault = of_both(root)
    assert (gate != before[0], fault != before[1]) == (True, True)


@pytest.mark.parametrize(("name", "text"), OF_ANOTHER_CLAIM)
def test_runs_of_a_fault_do_not_depend_on_other_claims(root, name, text):
    before = of_both(root)
    write(root, name, text)
    gate, fault = of_both(root)
    assert (gate != before[0], fault != before[1]) == (True, False)


def test_faults_decide_the_runs_that_seed_one_alone(root):
    before = of_both(root)
    write(root, "initcheck/faults/optimizers.py", "A = 2\n")
    gate, fault = of_both(root)
    assert (gate != before[0], fault != before[1]) == (False, True)


def test_file_that_is_gone_changes_it(root):
    before = of_both(root)
    (root / "baselines" / "evidence" / "a[x].json").unlink()
    gate, fault = of_both(root)
    assert (gate != before[0], fault != before[1]) == (True, True)


def test_a_run_imports_no_part_that_is_left_out():
    """Except the faults, whose names limits.toml holds, and the report of what was decided."""
    shown = (
        "import sys, pytest\n"
        "code = pytest.main(['-q', '-p', 'no:cacheprovider', *sys.argv[1:]])\n"
        "parts = {'.'.join(name.split('.')[:2]) for name in sys.modules}\n"
        "print('drawn', [name for name in sys.modules if name.startswith('initcheck.gate.pictur')"
        " or name == 'initcheck.plugin.pictured'])\n"
        "print('exit', int(code), *sorted(part for part in parts if part.startswith('initcheck.')))"
    )
    claim = str(ROOT / "benchmarks" / "test_hadamard.py")
    command = [sys.executable, "-c", shown, claim, "-k", "starts_at_loss"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    last = ran.stdout.splitlines()[-1].split()
    assert ran.stdout.splitlines()[-2] == "drawn []"
    assert last[:2] == ["exit", "0"], ran.stdout
    left_out = {f"initcheck.{part}" for part in fingerprint._NOT_READ}
    assert left_out & {*last} == {"initcheck.faults", "initcheck.report"}
    assert "initcheck.gate" in last
