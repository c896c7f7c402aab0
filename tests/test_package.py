"""The package as a whole: its public names, and how little importing it costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

import initcheck

ROOT = Path(__file__).parents[1]


def test_public_names_are_listed():
    assert set(initcheck.__all__) <= set(dir(initcheck))
    assert set(initcheck._HOME) | {"__version__"} == set(initcheck.__all__)


@pytest.mark.parametrize("name", sorted(initcheck._HOME))
def test_a_public_name_is_found(name):
    assert getattr(initcheck, name) is not None


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = initcheck.nonsense


def test_the_version_is_the_one_in_pyproject():
    assert f'\nversion = "{initcheck.__version__}"\n' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("module", ["initcheck", "initcheck.cli.main", "benchmarks.bootstrap"])
def test_importing_it_needs_no_other_package(module):
    code = f"import {module}, sys; print(*sys.modules)"
    command = [sys.executable, "-S", "-c", code]  # -S: no site-packages to find anything in
    modules = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    foreign = {name.partition(".")[0] for name in modules.split()} - sys.stdlib_module_names
    assert foreign - {"__main__"} == {module.partition(".")[0]}


def test_importing_it_costs_little_compared_with_starting_python():
    """Importing initcheck takes at most half the time of starting Python."""

    def seconds(code):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True)
        return time.perf_counter() - start

    # Measured in turns, so that a busy machine slows both; the median ignores a few outliers.
    rounds = [(seconds("import initcheck"), seconds("pass")) for _ in range(15)]
    assert statistics.median(ours - bare for ours, bare in rounds) < 0.5 * statistics.median(
        bare for _, bare in rounds
    )


def test_a_cache_that_cannot_be_written_does_not_end_the_run(tmp_path):
    """In a checkout of another user. As an error, the warning would end the run."""
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "a_file").touch()
    command = [
        sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", ".",
        "-o", f"cache_dir={tmp_path / 'a_file' / 'cache'}", "test_it.py",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "PytestCacheWarning" in done.stdout
    assert "1 passed" in done.stdout
    assert done.returncode == 0
