"""Evidence recorded in several folders, merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from initcheck.baselines.evidence import (
    BaselineError,
    alone,
    merged,
    read_evidence,
    same_place,
)
from initcheck.baselines.folder import Baselines


def demand_limits(folder: Path) -> None:
    """Refuse a folder without limits.toml, since evidence belongs to limits."""
    if not (folder / "limits.toml").is_file():
        raise BaselineError(
            f"{folder} holds no limits.toml, so it is no folder of baselines. Name one that is "
            "with --baselines."
        )


def merge(folders: Sequence[Path], baselines: Path, accept: str | None = None) -> list[str]:
    """Take the evidence of other folders into one, environment by environment.

    Args:
        folders: what ``initcheck record --out`` wrote, each with a folder ``evidence``.
        baselines: where it goes.
        accept: why outcomes may be far from those first recorded, or None.

    Returns:
        The claims that were merged.

    Raises:
        BaselineError: no limits.toml where it goes, a folder without evidence, evidence that cannot
            be used, the same claim and environment in two folders, or a mean far from its origin.
            Then nothing is written.
    """
    demand_limits(baselines)
    target = Baselines(baselines)
    found: dict[str, list[dict[str, Any]]] = {}
    for folder in folders:
        for path in _evidence(folder):
            entries = read_evidence(path)["environments"]
            _refuse_twins(path, entries, found.setdefault(path.stem, []))
            found[path.stem] += entries
    with alone(baselines):
        made = {claim: _merged(target, claim, entries, accept) for claim, entries in found.items()}
        for claim, whole in made.items():
            target.write(claim, whole)
    return list(made)


def _evidence(folder: Path) -> list[Path]:
    """The files of a folder; none where a shard had nothing to record."""
    found = Baselines(folder)
    if not found.path("").parent.is_dir():
        raise BaselineError(
            f"{folder} holds no evidence to merge; name a folder that `initcheck record --out` "
            "wrote."
        )
    return found.files()


def _refuse_twins(path: Path, entries: Sequence[Any], before: Sequence[Any]) -> None:
    if any(same_place(entry, other) for entry in entries for other in before):
        raise BaselineError(
            f"{path} and another folder hold evidence of the same claim for the same device, and "
            "nothing was merged. Leave one of them out."
        )


def _merged(target: Baselines, claim: str, entries: Sequence[Any], accept: str | None) -> Any:
    whole = target.evidence(claim) or {"schema": 1, "claim": claim, "environments": []}
    for entry in entries:
        whole = merged(whole, entry, accept)
    return whole
