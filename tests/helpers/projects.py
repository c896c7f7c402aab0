"""A project with small claims, for tests that run pytest in pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from initcheck.results import read, to_plain

ROOT = Path(__file__).parents[2]

CLAIMS = '''
from initcheck import SGD, Arm, Recipe, claim, mlp
from initcheck.initializers import he, zeros
from initcheck.probes import logit_spread, weight_magnitude

NETWORK = mlp(784, 8, 10)
RECIPE = Recipe(SGD(lr=0.1), batch=32, steps=5)
HE, ZEROS = Arm(NETWORK, he, RECIPE), Arm(NETWORK, zeros, RECIPE)

@claim(source="a test", kind="exact")
def test_zeros_stay(verdict):
    """Weights that start at zero stay there."""
    verdict.holds(weight_magnitude, treated=ZEROS, control=HE)
'''
MEASURED = '''
@claim(source="a test", kind="measured")
def test_he_tells_images_apart(verdict):
    """From He's start, answers differ between images."""
    verdict.holds(logit_spread, treated=HE, control=ZEROS)
'''


def limit(claim: str, probe: str, bound: str, kind: str = "exact") -> str:
    """One table of limits.toml."""
    return f"""
[{claim}.{probe}]
{bound}
unit = "weight"
kind = "{kind}"
why = "because"
fault = "zeros_with_noise"
"""


ZEROS_STAY = limit("zeros_stay", "weight_magnitude", "max = 0")
HE_APART = limit("he_tells_images_apart", "logit_spread", "min = 0.1", "measured")


@dataclass(frozen=True)
class Result:
    """Exit code and output of a run of pytest."""

    ret: int
    output: str

    @property
    def text(self) -> str:
        """The output, with the folds of long lines taken out."""
        return " ".join(self.output.split())


@dataclass(frozen=True)
class Project:
    """The current folder, with claims, limits and evidence."""

    path: Path

    def claims(self, text: str = CLAIMS, name: str = "test_claims") -> None:
        (self.path / f"{name}.py").write_text(text, encoding="utf-8")

    def limits(self, text: str = ZEROS_STAY) -> None:
        (self.path / "baselines").mkdir(exist_ok=True)
        (self.path / "baselines" / "limits.toml").write_text(text, encoding="utf-8")

    def evidence(self, claim: str) -> Path:
        return self.path / "baselines" / "evidence" / f"{claim}.json"

    def run(self, *arguments: str) -> Result:
        """Run pytest here, in this process: not with pytester, which imports torch again."""
        modules, path, output = set(sys.modules), list(sys.path), StringIO()
        quiet = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        try:
            with redirect_stdout(output), redirect_stderr(output):
                code = pytest.main([*quiet, f"--rootdir={self.path}", *arguments])
        finally:
            sys.path[:] = path
            for name in set(sys.modules) - modules:
                file = getattr(sys.modules[name], "__file__", None) or ""
                if file.startswith(str(self.path)):
                    del sys.modules[name]
        return Result(int(code), output.getvalue())

    def start(self, *arguments: str, **variables: str) -> Result:
        """Run pytest here in its own process."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            cwd=self.path, env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout + done.stderr)

    def results(self, *arguments: str) -> list[dict[str, Any]]:
        """The results of a run, as plain data."""
        file = self.path / "results.json"
        self.run(f"--initcheck-json={file}", *arguments)
        return to_plain(read(file).results)
