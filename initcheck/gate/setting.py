"""How a session judges its claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Judge = Literal["all", "outcomes", "record"]


@dataclass(frozen=True)
class Setting:
    """How a session judges, as its options say.

    Attributes:
        count: seeds per stage, or None for the default of the claim's kind.
        salt: draws other stage seeds.
        require_evidence: whether a comparison without evidence is invalid.
        recording: the reason given for recording, or None.
        scale: ``brief`` or ``full``. Full scale demands its data sets.
        judge: ``all``; ``outcomes`` leaves out the rounding envelope, whose seeds no salt changes;
            ``record`` asks measured claims on the envelope's four seeds alone, which are too few
            for their limits.
    """

    count: int | None = None
    salt: str = ""
    require_evidence: bool = False
    recording: str | None = None
    scale: str = "brief"
    judge: Judge = "all"

    @property
    def evidence_required(self) -> bool:
        """Evidence that is being recorded cannot be required at the same time."""
        return self.require_evidence and self.recording is None
