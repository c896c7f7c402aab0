"""Limits, written by people, and evidence, written by recording: read, check, store, look up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from initcheck.baselines.evidence import (
    alone,
    check_evidence,
    choose,
    merged,
    read_evidence,
)
from initcheck.baselines.limits import LimitEntry, read_limits
from initcheck.files import write_atomic


@dataclass
class Baselines:
    """One ``baselines/`` folder."""

    folder: Path
    _evidence: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    @cached_property
    def limits(self) -> dict[str, dict[str, LimitEntry]]:
        """limits.toml, read once."""
        return read_limits(self.folder / "limits.toml")

    def limit(self, claim: str, probe: str) -> LimitEntry | None:
        """The limit of a claim's probe, or None."""
        return self.limits.get(claim, {}).get(probe)

    @cached_property
    def registered(self) -> int:
        """How many comparisons share the false alarms, whatever is selected or left over.

        For each: whether it holds, and the evidence of both arms. A claim makes one comparison a
        limit, or as many as were recorded where it has parameters or cases.

        Raises:
            BaselineError: limits or evidence that cannot be used.
        """
        recorded = dict.fromkeys(self.limits, 0)
        for path in self.files():
            entries = (self.evidence(path.stem) or {"environments": []})["environments"]
            most = max((len(entry["comparisons"]) for entry in entries), default=0)
            claim = path.stem.split("[")[0]
            recorded[claim] = recorded.get(claim, 0) + most
        return 3 * sum(max(n, len(self.limits.get(c, ()))) for c, n in recorded.items())

    def files(self) -> list[Path]:
        """All evidence files of the folder."""
        return sorted((self.folder / "evidence").glob("*.json"))

    def path(self, claim_id: str) -> Path:
        """Where the evidence of a claim lies; brackets of a parametrized id are kept."""
        return self.folder / "evidence" / f"{claim_id}.json"

    def evidence(self, claim_id: str) -> dict[str, Any] | None:
        """The evidence of a claim, read and checked once, or None where nothing was recorded."""
        if claim_id not in self._evidence:
            path = self.path(claim_id)
            self._evidence[claim_id] = read_evidence(path) if path.exists() else None
        return self._evidence[claim_id]

    def recorded(self, claim_id: str, machine: Mapping[str, Any]) -> dict[str, Any] | None:
        """What was recorded for such a machine, else the reference: CPU float32."""
        found = self.evidence(claim_id)
        return None if found is None else choose(found, machine)

    def store(self, claim_id: str, entry: dict[str, Any], accept: str | None = None) -> Path:
        """Add or replace what one environment recorded; interrupted, the old file stays whole.

        Raises:
            BaselineError: a mean far from its origin, and no reason to ``accept`` it.
        """
        with alone(self.folder):
            self._evidence.pop(claim_id, None)  # another process may have recorded another device
            old = self.evidence(claim_id) or {"schema": 1, "claim": claim_id, "environments": []}
            return self.write(claim_id, merged(old, entry, accept))

    def write(self, claim_id: str, evidence: dict[str, Any]) -> Path:
        """Put a claim's evidence in the place of the old.

        Raises:
            BaselineError: it does not fit the schema.
        """
        path = self.path(claim_id)
        check_evidence(path, evidence)
        write_atomic(path, json.dumps(evidence, indent=1, sort_keys=True, allow_nan=False) + "\n")
        self._evidence[claim_id] = evidence
        return path
