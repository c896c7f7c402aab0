"""A folder of baselines: limits, which people write, and evidence, which recording writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from initcheck.baselines import layout, packed
from initcheck.baselines.evidence import (
    BaselineError,
    check_evidence,
    checked,
    choose,
    merged,
    read_evidence,
    sealed,
    stem_of,
)
from initcheck.baselines.limits import LimitEntry, read_limits
from initcheck.baselines.lock import alone
from initcheck.files import is_there, write_atomic
from initcheck.stats import decisions


@dataclass
class Baselines:
    """The limits and the evidence of one ``baselines/`` folder."""

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
        """The number of tests that share the false-alarm rate, whatever claims are selected.

        Each comparison has three: does it hold, and is each of its two arms unchanged. A claim has
        one comparison per limit, or as many as were recorded, if it has parameters or cases.

        Raises:
            BaselineError: limits or evidence cannot be used.
        """
        recorded = dict.fromkeys(self.limits, 0)
        for path in self.files():
            entries = (self.evidence(path.stem) or {"environments": []})["environments"]
            most = max((len(entry["comparisons"]) for entry in entries), default=0)
            claim = path.stem.split("[")[0]
            recorded[claim] = recorded.get(claim, 0) + most
        return 3 * sum(max(n, len(self.limits.get(c, ()))) for c, n in recorded.items())

    def contract(self) -> str:
        """The false-alarm contract of a run that uses this folder."""
        m = self.registered
        alpha = decisions.split(m)
        return (
            f"false alarms: at most {decisions.SUITE_FALSE_ALARMS:.0%} of runs on unchanged code, "
            f"split over {m} registered comparisons ({alpha:.1e} each, two stages of "
            f"{decisions.per_stage(alpha):.1e})"
        )

    def files(self) -> list[Path]:
        """All evidence files of the folder; none if nothing was ever recorded.

        A wheel has one packed file in their place. Then these are the paths that they would have.

        Raises:
            BaselineError: the folder or the packed file is there and cannot be read.
        """
        folder = self.folder / "evidence"
        if not is_there(folder):
            return [folder / f"{stem}.json" for stem in self._packed()]
        try:
            return sorted(path for path in folder.iterdir() if path.name.endswith(".json"))
        except OSError as error:
            raise BaselineError(
                f"{folder} cannot be read: {error.strerror}. It must be a folder of evidence that "
                "you may read. Restore it, or remove it and record all claims again."
            ) from None

    def path(self, claim_id: str) -> Path:
        """The path of a claim's evidence; the file name keeps a parametrized id's brackets.

        Raises:
            BaselineError: the id is too long for the name of a file.
        """
        return self.folder / "evidence" / f"{stem_of(claim_id)}.json"

    def evidence(self, claim_id: str) -> dict[str, Any] | None:
        """The evidence of a claim, read and checked once, or None if nothing was recorded."""
        if claim_id not in self._evidence:
            path = self.path(claim_id)
            self._evidence[claim_id] = (
                read_evidence(path) if is_there(path) else self._from_pack(path)
            )
        return self._evidence[claim_id]

    def _from_pack(self, path: Path) -> dict[str, Any] | None:
        """The evidence that a packed file has for this path, if it is there in their place."""
        evidence = None if is_there(path.parent) else self._packed().get(path.stem)
        return None if evidence is None else checked(path, evidence)

    def _packed(self) -> dict[str, Any]:
        """All evidence of the packed file, or nothing if there is none."""
        path = self.folder / packed.NAME
        try:
            return packed.unpack(path) if is_there(path) else {}
        except OSError as error:
            raise BaselineError(
                f"{path} cannot be read: {error.strerror}. Install the package again: "
                "`pip install --force-reinstall --no-deps initcheck`."
            ) from None

    def recorded(self, claim_id: str, machine: Mapping[str, Any]) -> dict[str, Any] | None:
        """The entry recorded for such a machine, or the CPU's, or None."""
        evidence = self.evidence(claim_id)
        return None if evidence is None else choose(evidence, machine)

    def store(self, claim_id: str, entry: dict[str, Any], accept: str | None = None) -> Path:
        """Add or replace the entry of one environment; if interrupted, the old file stays whole.

        Raises:
            BaselineError: a mean is too far from its origin, and ``accept`` gives no reason.
        """
        with alone(self.folder):
            self._evidence.pop(claim_id, None)  # another process may have changed the file
            old = self.evidence(claim_id) or {"schema": 1, "claim": claim_id, "environments": []}
            return self.write(claim_id, merged(old, entry, accept))

    def write(self, claim_id: str, evidence: dict[str, Any]) -> Path:
        """Replace a claim's evidence file.

        Raises:
            BaselineError: the evidence does not fit the schema.
        """
        path, evidence = self.path(claim_id), sealed(evidence)
        check_evidence(path, evidence)
        write_atomic(path, layout.text(evidence) + "\n")
        self._evidence[claim_id] = evidence
        return path
