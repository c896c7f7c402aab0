"""The baselines beside the claims that were collected: what belongs to no claim is an error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from initcheck.baselines import BaselineError, Baselines
from initcheck.judgement import too_weak

CLAIM = re.compile(r"^\s*def test_(\w+)\([^)]*\bverdict\b", flags=re.MULTILINE)


def claim_of(item: pytest.Item) -> str:
    """The claim's name: its test's, without ``test_`` and parameters."""
    return getattr(item, "originalname", item.name).removeprefix("test_")


def id_of(item: pytest.Item) -> str:
    """The claim's name with its parameters but without the device, as evidence is filed."""
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return claim_of(item)
    device = callspec.params.get("initcheck_device", "")
    parameters = callspec.id.removesuffix(device).removesuffix("-")
    return f"{claim_of(item)}[{parameters}]" if parameters else claim_of(item)


def node_of(item: pytest.Item) -> str:
    """The test with all its parameters, as pytest is told to run it from where this run began."""
    here = item.config.invocation_params.dir
    path = item.path.relative_to(here) if item.path.is_relative_to(here) else item.path
    _, _, within = item.nodeid.partition("::")
    return f"{path.as_posix()}::{within.partition('[')[0]}"


def folder_of(claims: Sequence[pytest.Item], root: Path) -> Path:
    """The ``baselines`` beside the claims, or beside their folder, or at the root."""
    for start in dict.fromkeys(item.path.parent for item in claims):
        for place in (start / "baselines", start.parent / "baselines"):
            if (place / "limits.toml").is_file():
                return place
    return root / "baselines"


def check(baselines: Baselines, claims: Sequence[pytest.Item], *, all_ids: bool) -> None:
    """Hold the baselines against all claims of the files around those collected.

    Args:
        baselines: the folder in use.
        claims: the claims collected, before any is deselected.
        all_ids: whether every parameter of those claims was collected.

    Raises:
        BaselineError: unusable files; limits or evidence of no claim; a limit of a weaker kind.
    """
    defined = _defined(baselines.folder, claims)
    limits = baselines.folder / "limits.toml"
    orphans = sorted(set(baselines.limits) - defined)
    if orphans:
        raise BaselineError(
            f"{limits} has limits for {', '.join(orphans)}, and no claim of that name is there. "
            "Rename the limit with its claim, or remove it."
        )
    _check_evidence(baselines, defined, {id_of(item) for item in claims} if all_ids else set())
    for item in claims:
        _check_kinds(baselines, item)
    _ = baselines.registered  # reads every evidence file, so that a broken one is known now


def _defined(folder: Path, claims: Sequence[pytest.Item]) -> set[str]:
    """Names of all claims in the files of tests around, whether or not they were collected."""
    around = {path for item in claims for path in item.path.parent.glob("*.py")}
    around |= {*folder.parent.glob("*.py"), *folder.parent.glob("*/*.py")}
    # test_*.py whatever the ini file says: the packaged claims are run under any
    patterns = {"test_*.py"}.union(*(item.config.getini("python_files") for item in claims))
    files = [path for path in around if any(map(path.match, patterns))]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    return {name for text in texts for name in CLAIM.findall(text)} | set(map(claim_of, claims))


def _check_evidence(baselines: Baselines, defined: set[str], ids: set[str]) -> None:
    known = {claim_id.split("[")[0] for claim_id in ids}
    stray = []
    for path in baselines.files():
        claim = path.stem.split("[")[0]
        if claim not in defined or (claim in known and path.stem not in ids):
            stray.append(path.name)
    if stray:
        raise BaselineError(
            f"{baselines.folder / 'evidence'} has {', '.join(stray)}, and no claim of that name is "
            "there. Rename the file with its claim, or remove it."
        )


def _check_kinds(baselines: Baselines, item: pytest.Item) -> None:
    marker = item.get_closest_marker("initcheck_claim")
    kind = marker.kwargs["kind"] if marker else "measured"
    for probe, limit in baselines.limits.get(claim_of(item), {}).items():
        if too_weak(kind, limit):
            raise BaselineError(
                f"{baselines.folder / 'limits.toml'}: [{limit.claim}.{probe}] is of kind "
                f"{limit.kind!r}, and its claim of kind {kind!r}: a limit may be stricter than its "
                "claim, not weaker. Change one of the two."
            )
