"""A fingerprint of everything that decides a run, so that runs count until one of these changes.

What decides is what a run reads: the code of the gate, the tests with their limits and evidence,
and pytest's settings. Documentation, docstrings, comments, commands and this package decide
nothing. Neither do the report, which writes what has been decided, the pictures, which are drawn
after the last claim, on request, nor the inspection of users' modules.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from initcheck.gate.comparison import code_text

#: Parts of initcheck/ that do not decide a run of claims. Faults are added for runs that seed one.
_NOT_READ = ("error_rates", "cli", "inspection", "trajectory", "report", "faults")
#: The same, by pattern: what ``--initcheck-pictures`` draws, and the items of users' models.
_BESIDE = ("gate/pictur*.py", "plugin/pictured.py", "plugin/inspected.py")
#: The same of benchmarks/.
_NO_CLAIMS = ("peers", "bootstrap.py", "stages.py")
LENGTH = 12  # digits that are kept


def of_gate(root: Path) -> str:
    """A hash of everything in the checkout ``root`` that the result of a whole run depends on."""
    tests = [*_files(root / "benchmarks", without=_NO_CLAIMS)]
    baselines = [root / "baselines" / "limits.toml", *_evidence(root)]
    return _digest(root, [*_gate(root), *tests, *baselines], _pytest_settings(root))


def of_fault(root: Path, claims: Collection[str]) -> str:
    """A hash of everything that the result of a run of these claims under a fault depends on.

    It leaves out the files, limits and evidence of other claims, and probes of other claims.
    """
    names = "|".join(map(re.escape, claims))
    test = re.compile(rf"^\s*def test_({names})\(", re.MULTILINE)
    tests = [
        path for path in _files(root / "benchmarks", without=_NO_CLAIMS)
        if path.name in ("conftest.py", "__init__.py") or test.search(_text(path))
    ]  # fmt: skip
    evidence = [path for path in _evidence(root) if path.stem.partition("[")[0] in {*claims}]
    limits = _toml(root / "baselines" / "limits.toml")
    chosen = {claim: limits[claim] for claim in sorted(claims) if claim in limits}
    core = [*_gate(root), *_files(root / "initcheck" / "faults")]
    probes = {path for path in core if root / "initcheck" / "probes" in path.parents}
    used = _imported(root, [path for path in core if path not in probes] + tests, probes)
    files = [*(path for path in core if path not in probes or path in used), *tests, *evidence]
    return _digest(root, files, _pytest_settings(root), json.dumps(chosen, sort_keys=True))


def _gate(root: Path) -> list[Path]:
    folder = root / "initcheck"
    return [
        path for path in _files(folder, without=_NOT_READ)
        if not any(path.relative_to(folder).match(pattern) for pattern in _BESIDE)
    ]  # fmt: skip


def _imported(root: Path, files: Iterable[Path], among: Collection[Path]) -> set[Path]:
    """Which of some modules these files import, directly or through one another."""
    modules = {_module(root, path): path for path in among if path.suffix == ".py"}
    found: set[Path] = set()
    waiting = [path for path in files if path.suffix == ".py"]
    while waiting:
        names = _names_imported(_text(waiting.pop()))
        new = {path for name, path in modules.items() if name in names} - found
        found |= new
        waiting += new
    return found


def _module(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _names_imported(text: str) -> frozenset[str]:
    """Every dotted name that code imports, with the packages around it; imports are absolute."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return frozenset(
        ".".join(parts[:length]) for name in names if (parts := name.split("."))
        for length in range(1, len(parts) + 1)
    )  # fmt: skip


def _evidence(root: Path) -> list[Path]:
    return sorted((root / "baselines" / "evidence").glob("*.json"))


def _files(folder: Path, without: Iterable[str] = ()) -> list[Path]:
    """Every file in a folder, sorted, without compiled ones and these top-level parts of it."""
    skipped = {"__pycache__", *without}
    return sorted(
        path for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        and path.relative_to(folder).parts[0] not in skipped
    )  # fmt: skip


def _pytest_settings(root: Path) -> str:
    settings = _toml(root / "pyproject.toml").get("tool", {}).get("pytest", {})
    return json.dumps(settings, sort_keys=True)


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(_text(path)) if path.exists() else {}


def _digest(root: Path, files: Iterable[Path], *texts: str) -> str:
    whole = hashlib.sha256()
    for path in files:
        if path.exists():
            status = path.stat()
            digest = _of_file(path, status.st_mtime_ns, status.st_size)
            whole.update(f"{path.relative_to(root).as_posix()} {digest}\n".encode())
    for text in texts:
        whole.update(text.encode())
    return whole.hexdigest()[:LENGTH]


@cache
def _of_file(path: Path, _mtime: int, _size: int) -> str:
    """Digest of a file; of Python code, that of its syntax tree without docstrings."""
    content = path.read_bytes()
    if path.suffix == ".py":
        content = code_text(ast.parse(content)).encode()
    return hashlib.sha256(content).hexdigest()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
