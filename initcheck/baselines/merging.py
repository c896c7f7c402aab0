"""Evidence recorded in several folders, merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from initcheck.baselines.evidence import (
    BaselineError,
    merged,
    read_evidence,
    same_place,
)
from initcheck.baselines.folder import Baselines
from initcheck.baselines.lock import alone


def demand_limits(folder: Path) -> None:
    """Raise a BaselineError for a folder without limits.toml, since evidence belongs to limits."""
    if not (folder / "limits.toml").is_file():
        raise BaselineError(
            f"{folder} holds no limits.toml, so it is not a folder of baselines. Name one with "
            "--baselines DIR."
        )


def merge(folders: Sequence[Path], baselines: Path, accept: str | None = None) -> list[str]:
    """Merge the evidence of several folders into one, one environment at a time.

    Args:
        folders: folders that ``initcheck record --out`` wrote, each with a folder ``evidence``.
        baselines: the folder of baselines that gets the evidence.
        accept: the reason why means may be far from those first recorded, or None.

    Returns:
        The claims that were merged.

    Raises:
        BaselineError: ``baselines`` has no limits.toml, a folder has no evidence or evidence that
            cannot be used, two folders have the same claim and environment, or a mean is too far
            from its origin. Nothing is written then.
    """
    demand_limits(baselines)
    target = Baselines(baselines)
    by_claim: dict[str, list[dict[str, Any]]] = {}
    for folder in folders:
        for path in _evidence_files(folder):
            entries = read_evidence(path)["environments"]
            _refuse_duplicates(path, entries, by_claim.setdefault(path.stem, []))
            by_claim[path.stem] += entries
    with alone(baselines):
        evidence = {
            claim: _merged(target, claim, entries, accept) for claim, entries in by_claim.items()
        }
        for claim, merged_entries in evidence.items():
            target.write(claim, merged_entries)
    return list(evidence)


def _evidence_files(folder: Path) -> list[Path]:
    """The evidence files of a folder; none if a shard had nothing to record."""
    baselines = Baselines(folder)
    if not baselines.path("").parent.is_dir():
        raise BaselineError(
            f"{folder} holds no folder 'evidence' to merge. Name a folder that "
            "`initcheck record --out` wrote."
        )
    return baselines.files()


def _refuse_duplicates(path: Path, entries: Sequence[Any], before: Sequence[Any]) -> None:
    if any(same_place(entry, other) for entry in entries for other in before):
        raise BaselineError(
            f"{path} and another folder hold evidence of the same claim for the same device, so "
            "nothing was merged. Leave one of the two folders out."
        )


def _merged(target: Baselines, claim: str, entries: Sequence[Any], accept: str | None) -> Any:
    evidence = target.evidence(claim) or {"schema": 1, "claim": claim, "environments": []}
    for entry in entries:
        evidence = merged(evidence, entry, accept)
    return evidence
